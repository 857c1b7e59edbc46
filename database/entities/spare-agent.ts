import { defineEntity, p } from '@mikro-orm/postgresql';
import { Runtime } from './runtime.ts';

const SpareAgentSchema = defineEntity({
  name: 'SpareAgent',
  tableName: 'spare_agents',
  indexes: [{ name: 'spare_agents_runtime_index', properties: ['runtime'] }],
  properties: {
    /** The id of the agent that it becomes; its relay token names it. */
    id: p.text().primary(),
    runtime: () =>
      p
        .manyToOne(Runtime)
        .mapToPk()
        .foreignKeyName('spare_agents_runtime_fk')
        .index(false)
        .deleteRule('cascade')
        .updateRule('no action'),
    gatewayAgentId: p.text(),
    /** A public id of MODELS. */
    model: p.text(),
    /** The order in which they are taken. */
    place: p.integer(),
  },
});

/** An agent that a gateway of the pool has and that is still no customer's. The row goes when a customer's agent takes it. */
export class SpareAgent extends SpareAgentSchema.class {}
SpareAgentSchema.setClass(SpareAgent);
