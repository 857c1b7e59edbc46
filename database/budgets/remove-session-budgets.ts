import type { EntityManager } from '@mikro-orm/postgresql';
import { run, sql } from '../sql.ts';

/** Deletes the budgets that sessions of this instance were created with, in the caller's transaction: they limit nothing any more. */
export async function removeSessionBudgets(em: EntityManager, instanceId: string, now: Date): Promise<void> {
  await run(
    em,
    sql`update budgets set deleted_at = ${now}
         where deleted_at is null
           and id in (select fields ->> 'budgetId' from claude_sessions where instance_id = ${instanceId})`,
  );
}
