import type { EntityManager } from '@mikro-orm/postgresql';
import { WAKE_ROOM_MS } from '../../domain/sleep.ts';
import { query, sql } from '../sql.ts';
import type { Sql } from '../sql.ts';

const ROOM_SECONDS = WAKE_ROOM_MS / 1_000;

/** The instance `i`, which wakes, has waited for a slot for too long. */
export const IS_ROOMLESS: Sql = sql`coalesce(i.sleep_state = 'waking' and i.queued_at < now() - make_interval(secs => ${ROOM_SECONDS}), false)`;

/** Turns that have waited for too long for an instance that wakes and finds no free slot, the last of each conversation first. */
export async function findRoomless(em: EntityManager, limit: number): Promise<string[]> {
  const rows = await query<{ id: string }>(
    em,
    sql`select m.id from instances i join messages m on m.instance_id = i.id
      where i.queued_at is not null and ${IS_ROOMLESS} and m.status = 'pending' and m.attempt = 0
        and m.created_at < now() - make_interval(secs => ${ROOM_SECONDS})
      order by m.conversation_id, m.number desc limit ${limit}`,
  );
  return rows.map(({ id }) => id);
}
