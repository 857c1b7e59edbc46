import { defineEntity, p } from '@mikro-orm/postgresql';
import { Account } from './account.ts';
import { counter, moment } from './columns.ts';
import { Instance } from './instance.ts';

const AgentSchema = defineEntity({
  name: 'Agent',
  tableName: 'agents',
  uniques: [{ name: 'agents_gateway_agent_unique', properties: ['gatewayAgentId'] }],
  indexes: [
    { name: 'agents_instance_index', properties: ['instance', 'createdAt', 'id'] },
    { name: 'agents_account_index', properties: ['account'] },
    {
      name: 'agents_slug_unique',
      expression: 'create unique index "agents_slug_unique" on "agents" ("instance_id", "slug") where deleted_at is null',
    },
  ],
  checks: [{ name: 'agents_status_known', expression: "status in ('pending', 'active', 'error', 'deleting')" }],
  properties: {
    id: p.text().primary(),
    instance: () => p.manyToOne(Instance).mapToPk().foreignKeyName('agents_instance_fk').index(false),
    account: () => p.manyToOne(Account).mapToPk().foreignKeyName('agents_account_fk').index(false),
    slug: p.text(),
    name: p.text(),
    /** Pairs of the customer's own. */
    metadata: p.json<Record<string, string>>().defaultRaw("'{}'"),
    displayName: p.text(),
    model: p.text(),
    /** Its name inside the gateway: lower case, never used twice. */
    gatewayAgentId: p.text(),
    status: p.text().$type<'pending' | 'active' | 'error' | 'deleting'>(),
    /** The content generation that changed it last. */
    generation: counter(),
    createdAt: moment(),
    /** Not found outside from then on; its slug is free again. */
    deletedAt: moment().strictNullable().default(null),
    /** When its last trace was gone from the gateway. */
    removedAt: moment().strictNullable().default(null),
  },
});

/** A persona inside an instance. */
export class Agent extends AgentSchema.class {}
AgentSchema.setClass(Agent);
