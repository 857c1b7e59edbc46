import { defineEntity, p } from '@mikro-orm/postgresql';
import { Agent } from './agent.ts';
import { moment } from './columns.ts';
import { Instance } from './instance.ts';

const CronJobSchema = defineEntity({
  name: 'CronJob',
  tableName: 'cron_jobs',
  uniques: [{ name: 'cron_jobs_gateway_job_unique', properties: ['instance', 'gatewayJobId'] }],
  indexes: [{ name: 'cron_jobs_agent_index', properties: ['agent', 'createdAt', 'id'] }],
  checks: [
    { name: 'cron_jobs_creator_known', expression: "created_by in ('api', 'agent')" },
    { name: 'cron_jobs_last_status_known', expression: "last_run_status in ('ok', 'error')" },
  ],
  properties: {
    id: p.text().primary(),
    instance: () => p.manyToOne(Instance).mapToPk().foreignKeyName('cron_jobs_instance_fk').index(false),
    agent: () => p.manyToOne(Agent).mapToPk().foreignKeyName('cron_jobs_agent_fk').index(false),
    /** The gateway's id of the job; null until the gateway has it. Until then the API does not show the job. */
    gatewayJobId: p.text().strictNullable().default(null),
    createdBy: p.text().$type<'api' | 'agent'>(),
    name: p.text(),
    /** JSON as the API shows it; null for a kind that only agents make. */
    schedule: p.text().strictNullable(),
    message: p.text(),
    enabled: p.boolean(),
    nextRunAt: moment().strictNullable().default(null),
    /** The newest moment for which it was scheduled and that has passed. Null: its run is recorded. */
    dueAt: moment().strictNullable().default(null),
    lastRunAt: moment().strictNullable().default(null),
    lastRunStatus: p.text().$type<'ok' | 'error'>().strictNullable().default(null),
    lastEventId: p.text().strictNullable().default(null),
    /** The conversation that the gateway adds its results to. */
    conversationId: p.text().strictNullable().default(null),
    createdAt: moment(),
    /** When the gateway last showed it, by the database clock. */
    seenAt: moment(),
    /** When it last changed, by the gateway's clock: what is older never overwrites it. */
    gatewayUpdatedAt: moment().strictNullable().default(null),
    /** Its name is kept, for the results of its last runs. */
    removedAt: moment().strictNullable().default(null),
  },
});

/** A job of a gateway's own scheduler, as it was last seen. */
export class CronJob extends CronJobSchema.class {}
CronJobSchema.setClass(CronJob);
