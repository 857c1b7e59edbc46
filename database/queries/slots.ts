import type { EntityManager } from '@mikro-orm/postgresql';
import { wakeInstance } from './wake-instance.ts';

/** Any number that nothing else locks. Taken after the instance's own row. */
const SLOTS_LOCK = 724_310_378;

/**
 * Takes one of the machine's slots for an instance that is to be started and whose row this transaction holds. False
 * when none is left for it: it is then marked as waiting, behind those that wait already.
 */
export async function takeSlot(em: EntityManager, { instanceId, maxRunning, now }: TakeOptions): Promise<boolean> {
  await em.execute('select pg_advisory_xact_lock(?)', [SLOTS_LOCK]);
  const [taken] = await em.execute<{ id: string }[]>(
    `update instances set has_slot = true, queued_at = null, transition_step = 'queued'
      where id = ? and (has_slot or (select count(*) from instances where has_slot)
        + (select count(*) from instances older
            where older.queued_at is not null and older.id <> instances.id
              and (instances.queued_at is null or (older.queued_at, older.id) < (instances.queued_at, instances.id))) < ?)
     returning id`,
    [instanceId, maxRunning],
  );
  if (taken) return true;
  await em.execute(
    `update instances
        set queued_at = coalesce(queued_at, ?::timestamptz), transition_step = 'queued', reason_code = 'no_capacity',
            reason_message = 'The platform is full. The instance starts by itself as soon as another one stops.',
            reason_at = coalesce(queued_at, ?::timestamptz), reason_retryable = true
      where id = ?`,
    [now, now, instanceId],
    'run',
  );
  return false;
}

interface TakeOptions {
  instanceId: string;
  maxRunning: number;
  now: Date;
}

/** Gives the slot of this instance back, if it has one, and wakes those that have waited longest for what is free. */
export async function freeSlot(em: EntityManager, instanceId: string, maxRunning: number): Promise<void> {
  await em.execute('update instances set has_slot = false, queued_at = null where id = ?', [instanceId], 'run');
  await wakeQueued(em, maxRunning);
}

/** Wakes as many of the waiting instances as there are free slots, those that have waited longest first. */
export async function wakeQueued(em: EntityManager, maxRunning: number): Promise<number> {
  await em.execute('select pg_advisory_xact_lock(?)', [SLOTS_LOCK]);
  const next = await em.execute<{ id: string }[]>(
    `select id from instances where queued_at is not null order by queued_at, id
      limit greatest(0, ?::int - (select count(*)::int from instances where has_slot))`,
    [maxRunning],
  );
  for (const { id } of next) await wakeInstance(em, id);
  return next.length;
}
