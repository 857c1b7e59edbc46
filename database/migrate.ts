import { MikroORM } from '@mikro-orm/postgresql';
import type { EntityManager } from '@mikro-orm/postgresql';
import { isDatabaseTimeout, isWriteConflict } from './failure-kind.ts';
import { ormConfig } from './orm-config.ts';
import { runTransaction } from './run-transaction.ts';
import { run, sql } from './sql.ts';

interface MigrateOptions {
  /** Asked before anything is changed, in each try: what it throws leaves the database as it is. */
  before?: (em: EntityManager) => Promise<unknown>;
  /** Once the schema is up to date. */
  after?: (em: EntityManager) => Promise<unknown>;
  /** The last migration that is done; by default all are. */
  to?: string | undefined;
}

/**
 * Brings the schema of this database up to date. Of two at once, one waits for the other. Processes work during it: a
 * migration that deadlocks with one of them, or does not get a lock in the time that it allows, is run again, five times at most.
 */
export async function migrate(databaseUrl: string, { before, after, to }: MigrateOptions = {}): Promise<void> {
  const orm = await MikroORM.init(ormConfig(databaseUrl));
  try {
    await runTransaction(
      orm.em,
      async (em) => {
        await run(em, sql`select pg_advisory_xact_lock(${MIGRATION_LOCK})`);
        await before?.(em);
        const transaction: unknown = em.getTransactionContext();
        await orm.migrator.up({ transaction, ...(to !== undefined && { to }) });
      },
      { isPassing: (error) => isWriteConflict(error) || isDatabaseTimeout(error) },
    );
    await after?.(orm.em.fork());
  } finally {
    await orm.close();
  }
}

/** Any number that nothing else locks. */
const MIGRATION_LOCK = 724_310_377;
