import type { EntityManager } from '@mikro-orm/postgresql';

/** After this long without a renewal (database clock) others take over what a process owns. */
export const PROCESS_LEASE_MS = 10_000;

/** Of processes `p`: it may send what it owns, with two seconds left until others may take over. */
export const IS_TRUSTED = `p.seen_at > clock_timestamp() - interval '8 seconds'`;

/** Enters a process that begins to own things. */
export async function insertProcess(em: EntityManager, id: string, kind: 'api' | 'worker'): Promise<void> {
  await em.execute('insert into processes (id, kind, started_at, seen_at) values (?, ?, now(), now())', [id, kind], 'run');
}

/** Renews a process; false when it is not entered any more, or was silent for so long that others may have taken over. */
export async function renewProcess(em: EntityManager, id: string): Promise<boolean> {
  const rows = await em.execute<{ id: string }[]>(
    `update processes set seen_at = now()
      where id = ? and seen_at > now() - make_interval(secs => ?) returning id`,
    [id, PROCESS_LEASE_MS / 1_000],
  );
  return rows.length > 0;
}

/** Strikes a process out, so that what it owns is taken over at once; and those that have been silent for a day. */
export async function deleteProcess(em: EntityManager, id: string | null): Promise<void> {
  await em.execute(`delete from processes where id = ? or seen_at < now() - interval '1 day'`, [id], 'run');
}
