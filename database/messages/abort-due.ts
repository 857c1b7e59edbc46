import type { EntityManager } from '@mikro-orm/postgresql';
import { TURN_COLUMNS, TURN_JOINS } from './pending-turns.ts';
import type { PendingTurn } from './pending-turns.ts';
import { query, run, sql } from '../sql.ts';

/** A turn that we ended, and of which the gateway must still be told. */
export interface AbortDue extends PendingTurn {
  /** How long ago it was ended, in seconds on the database's clock. */
  endedSecondsAgo: number;
  /** Its agent is in no configuration that is written from now on. */
  agentIsDeleted: boolean;
  /** Its agent is gone from the gateway. */
  agentIsRemoved: boolean;
}

const COLUMNS = sql`${TURN_COLUMNS}, extract(epoch from now() - m.ended_at)::float8 as "endedSecondsAgo",
  a.deleted_at is not null as "agentIsDeleted", a.removed_at is not null as "agentIsRemoved"`;

/** Every turn of an instance that is marked as one that its gateway must still abort. */
export async function listAbortDue(em: EntityManager, instanceId: string): Promise<AbortDue[]> {
  return query<AbortDue>(
    em,
    sql`select ${COLUMNS} from messages m ${TURN_JOINS} where m.instance_id = ${instanceId} and m.abort_due order by m.ended_at`,
  );
}

/** The same for one turn; null when it is not marked. */
export async function findAbortDue(em: EntityManager, messageId: string): Promise<AbortDue | null> {
  const [turn] = await query<AbortDue>(
    em,
    sql`select ${COLUMNS} from messages m ${TURN_JOINS} where m.id = ${messageId} and m.abort_due`,
  );
  return turn ?? null;
}

/** The same for the conversation that this gateway session belongs to. */
export async function listAbortDueIn(em: EntityManager, conversationId: string): Promise<AbortDue[]> {
  return query<AbortDue>(
    em,
    sql`select ${COLUMNS} from messages m ${TURN_JOINS} where m.conversation_id = ${conversationId} and m.abort_due`,
  );
}

/** Takes the mark off: the gateway has shown that this turn does not run any more. */
export async function clearAbortDue(em: EntityManager, messageId: string): Promise<void> {
  await run(em, sql`update messages set abort_due = false where id = ${messageId} and status <> 'pending'`);
}

/** Marks a turn that has failed or was cancelled, but runs all the same. False when there is no such turn. */
export async function markAbortDue(em: EntityManager, messageId: string): Promise<boolean> {
  const rows = await query<{ id: string }>(
    em,
    sql`update messages set abort_due = true
      where id = ${messageId} and status in ('failed', 'cancelled') and attempt > 0 returning id`,
  );
  return rows.length > 0;
}
