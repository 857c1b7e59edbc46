import type { EntityManager } from '@mikro-orm/postgresql';
import { closeInterval } from '../billing/intervals.ts';
import { freeSlot } from './slots.ts';
import { run, sql } from '../sql.ts';
import type { Sql } from '../sql.ts';
import { changeLifecycle } from './change-lifecycle.ts';

const BATCH = 5_000;

/** What goes with an instance, in the order in which rows point at each other. Each statement removes one batch. */
const removalsOf = (instanceId: string): Sql[] => [
  sql`update webhooks set deleted_at = now(), enabled = false, secret = '', previous_secret = null
    where instance_id = ${instanceId} and deleted_at is null`,
  sql`update events
      set deleted = true, agent_slug = null, agent_name = null, source = null, message_id = null, content = null,
          content_truncated = false, finish_reason = null, job_name = null, error_code = null, error_message = null
    where id in (select id from events where instance_id = ${instanceId} and not deleted limit ${BATCH})`,
  sql`delete from messages where id in (select id from messages where instance_id = ${instanceId} limit ${BATCH})`,
  sql`delete from conversations
    where id in (select conversations.id from conversations join agents on agents.id = agent_id
                  where instance_id = ${instanceId} limit ${BATCH})`,
  sql`delete from agent_files
    where (agent_id, path) in (select agent_id, path from agent_files join agents on agents.id = agent_id
                                where instance_id = ${instanceId} limit ${BATCH})`,
  sql`delete from instance_secrets
    where (instance_id, key) in (select instance_id, key from instance_secrets where instance_id = ${instanceId} limit ${BATCH})`,
  // Each with its files, of 5 MiB at most.
  sql`delete from instance_skills
    where id in (select id from instance_skills where instance_id = ${instanceId} limit 10)`,
  sql`delete from cron_jobs where id in (select id from cron_jobs where instance_id = ${instanceId} limit ${BATCH})`,
  sql`delete from claude_agent_places where instance_id = ${instanceId}`,
  sql`delete from claude_environments where instance_id = ${instanceId}`,
  sql`delete from claude_sessions
    where id in (select id from claude_sessions where instance_id = ${instanceId} limit ${BATCH})`,
  sql`delete from gateway_refusals where instance_id = ${instanceId}`,
  sql`delete from event_occurrences
    where (instance_id, key) in (select instance_id, key from event_occurrences where instance_id = ${instanceId} limit ${BATCH})`,
];

/**
 * Removes what a destroyed instance held, in transactions of bounded size. Its agents stay as rows without names, and
 * its events as numbers, because usage and the sequence point at them. Repeating it is harmless.
 */
export async function removeInstanceData(em: EntityManager, instanceId: string, signal: AbortSignal): Promise<void> {
  for (const statement of removalsOf(instanceId)) {
    for (let isDone = false; !isDone;) {
      signal.throwIfAborted();
      isDone = (await run(em, statement)) === 0;
    }
  }
  await run(
    em,
    sql`update agents
        set name = '', display_name = '', status = 'deleting', deleted_at = coalesce(deleted_at, now()),
            removed_at = coalesce(removed_at, now())
      where instance_id = ${instanceId}`,
  );
}

interface Destroyed {
  instanceId: string;
  epoch: number;
  maxRunning: number;
}

/** The instance is gone: a tombstone from now on, in the caller's transaction. False when a newer attempt has begun. */
export async function finishDestroy(em: EntityManager, { instanceId, epoch, maxRunning }: Destroyed): Promise<boolean> {
  const destroyed = await changeLifecycle(em, {
    instanceId,
    happening: { kind: 'destroyed' },
    allows: (row) => row.epoch === epoch && row.desiredStatus === 'destroyed' && row.deletedAt === null,
  });
  if (!destroyed) return false;
  await closeInterval(em, instanceId);
  await freeSlot(em, instanceId, maxRunning);
  return true;
}
