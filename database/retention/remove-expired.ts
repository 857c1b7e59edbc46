import type { EntityManager } from '@mikro-orm/postgresql';
import { columns, db } from '../db.ts';
import { AgentFile } from '../entities/agent-file.ts';
import { Agent } from '../entities/agent.ts';
import { Conversation } from '../entities/conversation.ts';
import { CronJob } from '../entities/cron-job.ts';
import { Event } from '../entities/event.ts';
import { GatewayRefusal } from '../entities/gateway-refusal.ts';
import { Instance } from '../entities/instance.ts';
import { Message } from '../entities/message.ts';
import { ModelCall } from '../entities/model-call.ts';
import { RuntimeInterval } from '../entities/runtime-interval.ts';
import { Webhook } from '../entities/webhook.ts';
import { allOf, run, sql } from '../sql.ts';

interface Batch {
  before: Date;
  limit: number;
}

/** Removes one batch of lines of the audit that were written before this moment. Says how many. */
export async function removeOldAudit(em: EntityManager, { before, limit }: Batch): Promise<number> {
  const { numDeletedRows } = await db(em)
    .deleteFrom('AuditEntry')
    .where('id', 'in', (eb) =>
      eb.selectFrom('AuditEntry').select('id').where('at', '<', before).orderBy('at').orderBy('id').limit(limit),
    )
    .executeTakeFirst();
  return Number(numDeletedRows);
}

/** Removes one batch of the oldest model calls, as far as they were made before this moment. Says how many. */
export async function removeOldModelCalls(em: EntityManager, { before, limit }: Batch): Promise<number> {
  const { id, at } = columns(ModelCall);
  const call = columns(ModelCall, 'model_calls');
  return run(
    em,
    sql`delete from model_calls using (select ${id} from model_calls order by ${id} limit ${limit}) oldest
         where ${call.id} = oldest.${id} and ${at} < ${before}`,
  );
}

/** Removes one batch of steps of replies that were made before this moment. Says how many. */
export async function removeOldSteps(em: EntityManager, { before, limit }: Batch): Promise<number> {
  const { numDeletedRows } = await db(em)
    .deleteFrom('MessageSteps')
    .where('message', 'in', (eb) =>
      eb.selectFrom('MessageSteps').select('message').where('createdAt', '<', before).orderBy('createdAt').limit(limit),
    )
    .executeTakeFirst();
  return Number(numDeletedRows);
}

/** Removes one batch of keys that were revoked, or expired, before this moment. Says how many. */
export async function removeOldKeys(em: EntityManager, { before, limit }: Batch): Promise<number> {
  const { numDeletedRows } = await db(em)
    .deleteFrom('ApiKey')
    .where('id', 'in', (eb) =>
      eb
        .selectFrom('ApiKey')
        .select('id')
        .where(eb.fn<Date>('least', ['revokedAt', 'expiresAt']), '<', before)
        .limit(limit),
    )
    .executeTakeFirst();
  return Number(numDeletedRows);
}

/** Removes one batch of agents that were deleted before this moment and that nothing points at any more. Says how many. */
export async function removeOldAgents(em: EntityManager, { before, limit }: Batch): Promise<number> {
  const old = columns(Agent, 'old');
  const isFree = [
    sql`not exists (select from messages where ${columns(Message).agent} = ${old.id})`,
    sql`not exists (select from conversations where ${columns(Conversation).agent} = ${old.id})`,
    sql`not exists (select from model_calls where ${columns(ModelCall).agent} = ${old.id})`,
    sql`not exists (select from agent_files where ${columns(AgentFile).agent} = ${old.id})`,
    sql`not exists (select from cron_jobs where ${columns(CronJob).agent} = ${old.id})`,
    sql`not exists (select from webhooks where ${columns(Webhook).agent} = ${old.id})`,
  ];
  return run(
    em,
    sql`delete from agents where ${columns(Agent).id} in (
          select ${old.id} from agents old
           where ${old.deletedAt} < ${before} and ${old.removedAt} is not null and ${allOf(isFree)} limit ${limit})`,
  );
}

/**
 * Removes one batch of instances that were deleted before this moment and that nothing points at any more. One that has
 * ever run stays: its intervals are what it was billed by. Says how many.
 */
export async function removeOldInstances(em: EntityManager, { before, limit }: Batch): Promise<number> {
  const old = columns(Instance, 'old');
  const isFree = [
    sql`not exists (select from runtime_intervals where ${columns(RuntimeInterval).instance} = ${old.id})`,
    sql`not exists (select from agents where ${columns(Agent).instance} = ${old.id})`,
    sql`not exists (select from events where ${columns(Event).instance} = ${old.id})`,
    sql`not exists (select from messages where ${columns(Message).instance} = ${old.id})`,
    sql`not exists (select from model_calls where ${columns(ModelCall).instance} = ${old.id})`,
    sql`not exists (select from webhooks where ${columns(Webhook).instance} = ${old.id})`,
    sql`not exists (select from gateway_refusals where ${columns(GatewayRefusal).instance} = ${old.id})`,
  ];
  return run(
    em,
    sql`delete from instances where ${columns(Instance).id} in (
          select ${old.id} from instances old where ${old.deletedAt} < ${before} and ${allOf(isFree)} limit ${limit})`,
  );
}
