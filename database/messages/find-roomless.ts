import type { EntityManager } from '@mikro-orm/postgresql';
import { WAKE_ROOM_MS } from '../../domain/sleep.ts';
import { columns } from '../db.ts';
import { Instance } from '../entities/instance.ts';
import { Message } from '../entities/message.ts';
import { fetchRows } from '../rows.ts';
import { sql } from '../sql.ts';

const ROOM_SECONDS = WAKE_ROOM_MS / 1_000;

const i = columns(Instance, 'i');

/** The instance `i`, which wakes, has waited for a slot for too long. */
export const IS_ROOMLESS = sql<boolean>`coalesce(${i.sleepState} = 'waking' and ${i.queuedAt} < now() - make_interval(secs => ${ROOM_SECONDS}), false)`;

/** Turns that have waited for too long for an instance that wakes and finds no free slot, the last of each conversation first. */
export async function findRoomless(em: EntityManager, limit: number): Promise<string[]> {
  const m = columns(Message, 'm');
  const turns = await fetchRows(
    em,
    { id: m.id },
    (fields) => sql`
      select ${fields} from instances i join messages m on ${m.instance} = ${i.id}
       where ${i.queuedAt} is not null and ${IS_ROOMLESS} and ${m.status} = 'pending' and ${m.attempt} = 0
         and ${m.createdAt} < now() - make_interval(secs => ${ROOM_SECONDS})
       order by ${m.conversation}, ${m.number} desc limit ${limit}`,
  );
  return turns.map(({ id }) => id);
}
