import type { EntityManager } from '@mikro-orm/postgresql';
import { SHARD_OWNER } from './pending-turns.ts';
import { columns, db } from '../db.ts';
import { Message } from '../entities/message.ts';
import { run, sql } from '../sql.ts';

/**
 * Assigns every pending turn of an instance, waiting ones too, to the gateway process that has just been started, and to
 * the worker that holds the instance's shard. Counts a death for those that were in flight in another gateway process,
 * once however often the step is repeated. Holds the instance. False, and nothing changed, when a newer attempt works on it.
 */
export async function stampTurns(
  em: EntityManager,
  { instanceId, epoch, bootId }: { instanceId: string; epoch: number; bootId: string },
): Promise<boolean> {
  const held = await db(em)
    .selectFrom('Instance')
    .select('id')
    .where('id', '=', instanceId)
    .where('epoch', '=', epoch)
    .where('bootId', 'is', null)
    .forShare()
    .executeTakeFirst();
  if (!held) return false;
  const { deaths, attempt, bootId: process, owner, instance, status } = columns(Message);
  await run(
    em,
    sql`update messages
           set ${deaths} = ${deaths} + (case when ${attempt} > 0 and ${process} <> ${bootId} then 1 else 0 end),
               ${process} = ${bootId}, ${owner} = ${SHARD_OWNER}
         where ${instance} = ${instanceId} and ${status} = 'pending'
           and (${process} is distinct from ${bootId} or ${owner} is distinct from ${SHARD_OWNER})`,
  );
  return true;
}

/**
 * Takes the pending turns of an instance from a gateway process that was ended on purpose, so that the next start does
 * not count a death for them.
 */
export async function handOverTurns(em: EntityManager, instanceId: string): Promise<void> {
  await db(em)
    .updateTable('Message')
    .set({ bootId: null, owner: SHARD_OWNER })
    .where('instance', '=', instanceId)
    .where('status', '=', 'pending')
    .execute();
}
