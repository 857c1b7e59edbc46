import type { EntityManager } from '@mikro-orm/postgresql';
import { TURN_COLUMNS, TURN_JOINS } from './pending-turns.ts';
import type { PendingTurn } from './pending-turns.ts';

/** A turn that we ended, and of which the gateway must still be told. */
export interface AbortDue extends PendingTurn {
  /** How long ago it was ended, in seconds on the database's clock. */
  endedSecondsAgo: number;
  /** Its agent is in no configuration that is written from now on. */
  agentIsDeleted: boolean;
  /** Its agent is gone from the gateway. */
  agentIsRemoved: boolean;
}

const COLUMNS = `${TURN_COLUMNS}, extract(epoch from now() - m.ended_at)::float8 as "endedSecondsAgo",
  a.deleted_at is not null as "agentIsDeleted", a.removed_at is not null as "agentIsRemoved"`;

/** Every turn of an instance that is marked as one that its gateway must still abort. */
export async function listAbortDue(em: EntityManager, instanceId: string): Promise<AbortDue[]> {
  return em.execute<AbortDue[]>(
    `select ${COLUMNS} from messages m ${TURN_JOINS} where m.instance_id = ? and m.abort_due order by m.ended_at`,
    [instanceId],
  );
}

/** The same for one turn; null when it is not marked. */
export async function findAbortDue(em: EntityManager, messageId: string): Promise<AbortDue | null> {
  const [turn] = await em.execute<AbortDue[]>(`select ${COLUMNS} from messages m ${TURN_JOINS} where m.id = ? and m.abort_due`, [
    messageId,
  ]);
  return turn ?? null;
}

/** The same for the conversation that this gateway session belongs to. */
export async function listAbortDueIn(em: EntityManager, conversationId: string): Promise<AbortDue[]> {
  return em.execute<AbortDue[]>(`select ${COLUMNS} from messages m ${TURN_JOINS} where m.conversation_id = ? and m.abort_due`, [
    conversationId,
  ]);
}

/** Takes the mark off: the gateway has shown that this turn does not run any more. */
export async function clearAbortDue(em: EntityManager, messageId: string): Promise<void> {
  await em.execute(`update messages set abort_due = false where id = ? and status <> 'pending'`, [messageId], 'run');
}

/** Marks a turn that has failed or was cancelled, but runs all the same. False when there is no such turn. */
export async function markAbortDue(em: EntityManager, messageId: string): Promise<boolean> {
  const rows = await em.execute<{ id: string }[]>(
    `update messages set abort_due = true
      where id = ? and status in ('failed', 'cancelled') and attempt > 0 returning id`,
    [messageId],
  );
  return rows.length > 0;
}
