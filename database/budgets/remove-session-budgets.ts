import type { EntityManager } from '@mikro-orm/postgresql';
import { db } from '../db.ts';
import { sql } from '../sql.ts';

/** Deletes the budgets that sessions of this instance were created with, in the caller's transaction: they limit nothing any more. */
export async function removeSessionBudgets(em: EntityManager, instanceId: string, now: Date): Promise<void> {
  await db(em)
    .updateTable('Budget')
    .set({ deletedAt: now })
    .where('deletedAt', 'is', null)
    .where('id', 'in', (eb) =>
      eb
        .selectFrom('ClaudeSession as sessions')
        .select((session) => sql<string>`${session.ref('sessions.fields')} ->> 'budgetId'`.as('id'))
        .where('sessions.instance', '=', instanceId),
    )
    .execute();
}
