import type { EntityManager } from '@mikro-orm/postgresql';
import { columns, db, notNull } from '../db.ts';
import { Agent } from '../entities/agent.ts';
import { fetchRows } from '../rows.ts';
import type { RowOf } from '../rows.ts';
import { secondsSince, sql } from '../sql.ts';
import type { Sql } from '../sql.ts';
import { m, TURN_FIELDS, TURN_JOINS } from './pending-turns.ts';

const a = columns(Agent, 'a');

const FIELDS = {
  ...TURN_FIELDS,
  /** How long ago it was ended, in seconds on the database's clock. */
  endedSecondsAgo: secondsSince(notNull(m.endedAt)),
  /** Its agent is in no configuration that is written from now on. */
  agentIsDeleted: sql<boolean>`${a.deletedAt} is not null`,
  /** Its agent is gone from the gateway. */
  agentIsRemoved: sql<boolean>`${a.removedAt} is not null`,
};

/** A turn that we ended, and of which the gateway must still be told. */
export type AbortDue = RowOf<typeof FIELDS>;

/** Every turn of an instance that is marked as one that its gateway must still abort. */
export function listAbortDue(em: EntityManager, instanceId: string): Promise<AbortDue[]> {
  return listMarked(em, sql`${m.instance} = ${instanceId}`);
}

/** The same for one turn; null when it is not marked. */
export async function findAbortDue(em: EntityManager, messageId: string): Promise<AbortDue | null> {
  const [turn] = await listMarked(em, sql`${m.id} = ${messageId}`);
  return turn ?? null;
}

/** The same for the conversation that this gateway session belongs to. */
export function listAbortDueIn(em: EntityManager, conversationId: string): Promise<AbortDue[]> {
  return listMarked(em, sql`${m.conversation} = ${conversationId}`);
}

function listMarked(em: EntityManager, condition: Sql): Promise<AbortDue[]> {
  return fetchRows(
    em,
    FIELDS,
    (fields) => sql`
      select ${fields} from messages m ${TURN_JOINS} where ${condition} and ${m.abortDue} order by ${m.endedAt}`,
  );
}

/** Takes the mark off: the gateway has shown that this turn does not run any more. */
export async function clearAbortDue(em: EntityManager, messageId: string): Promise<void> {
  await db(em)
    .updateTable('Message')
    .set({ abortDue: false })
    .where('id', '=', messageId)
    .where('status', '<>', 'pending')
    .execute();
}

/** Marks a turn that has failed or was cancelled, but runs all the same. False when there is no such turn. */
export async function markAbortDue(em: EntityManager, messageId: string): Promise<boolean> {
  const { numUpdatedRows } = await db(em)
    .updateTable('Message')
    .set({ abortDue: true })
    .where('id', '=', messageId)
    .where('status', 'in', ['failed', 'cancelled'])
    .where('attempt', '>', 0)
    .executeTakeFirst();
  return numUpdatedRows > 0n;
}
