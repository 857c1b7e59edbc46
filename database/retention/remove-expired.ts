import type { EntityManager } from '@mikro-orm/postgresql';
import { run, sql } from '../sql.ts';

interface Batch {
  before: Date;
  limit: number;
}

/** Removes one batch of lines of the audit that were written before this moment. Says how many. */
export async function removeOldAudit(em: EntityManager, { before, limit }: Batch): Promise<number> {
  return run(
    em,
    sql`delete from audit_entries where id in (select id from audit_entries where at < ${before} order by at, id limit ${limit})`,
  );
}

/** Removes one batch of the oldest model calls, as far as they were made before this moment. Says how many. */
export async function removeOldModelCalls(em: EntityManager, { before, limit }: Batch): Promise<number> {
  return run(
    em,
    sql`delete from model_calls using (select id from model_calls order by id limit ${limit}) oldest
      where model_calls.id = oldest.id and at < ${before}`,
  );
}

/** Removes one batch of steps of replies that were made before this moment. Says how many. */
export async function removeOldSteps(em: EntityManager, { before, limit }: Batch): Promise<number> {
  return run(
    em,
    sql`delete from message_steps where message_id in (
       select message_id from message_steps where created_at < ${before} order by created_at limit ${limit})`,
  );
}

/** Removes one batch of keys that were revoked, or expired, before this moment. Says how many. */
export async function removeOldKeys(em: EntityManager, { before, limit }: Batch): Promise<number> {
  return run(
    em,
    sql`delete from api_keys where id in (select id from api_keys where least(revoked_at, expires_at) < ${before} limit ${limit})`,
  );
}

/** Removes one batch of agents that were deleted before this moment and that nothing points at any more. Says how many. */
export async function removeOldAgents(em: EntityManager, { before, limit }: Batch): Promise<number> {
  return run(
    em,
    sql`delete from agents where id in (
       select id from agents agent
        where deleted_at < ${before} and removed_at is not null
          and not exists (select from messages where agent_id = agent.id)
          and not exists (select from conversations where agent_id = agent.id)
          and not exists (select from model_calls where agent_id = agent.id)
          and not exists (select from agent_files where agent_id = agent.id)
          and not exists (select from cron_jobs where agent_id = agent.id)
          and not exists (select from webhooks where agent_id = agent.id)
        limit ${limit})`,
  );
}

/**
 * Removes one batch of instances that were deleted before this moment and that nothing points at any more. One that has
 * ever run stays: its intervals are what it was billed by. Says how many.
 */
export async function removeOldInstances(em: EntityManager, { before, limit }: Batch): Promise<number> {
  return run(
    em,
    sql`delete from instances where id in (
       select id from instances instance
        where deleted_at < ${before}
          and not exists (select from runtime_intervals where instance_id = instance.id)
          and not exists (select from agents where instance_id = instance.id)
          and not exists (select from events where instance_id = instance.id)
          and not exists (select from messages where instance_id = instance.id)
          and not exists (select from model_calls where instance_id = instance.id)
          and not exists (select from webhooks where instance_id = instance.id)
          and not exists (select from gateway_refusals where instance_id = instance.id)
        limit ${limit})`,
  );
}
