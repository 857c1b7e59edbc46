import { MikroORM } from '@mikro-orm/postgresql';
import type { EntityManager } from '@mikro-orm/postgresql';
import { ormConfig } from './orm-config.ts';
import { query, sql } from './sql.ts';

interface MigrateOptions {
  /** Asked before anything is changed: what it throws leaves the database as it is. */
  before?: (em: EntityManager) => Promise<unknown>;
  /** Once the schema is up to date. */
  after?: (em: EntityManager) => Promise<unknown>;
}

/** Brings the schema of this database up to date. Of two at once, one waits for the other. */
export async function migrate(databaseUrl: string, { before, after }: MigrateOptions = {}): Promise<void> {
  const orm = await MikroORM.init(ormConfig(databaseUrl));
  try {
    await orm.em.transactional(async (em) => {
      await query(em, sql`select pg_advisory_xact_lock(${MIGRATION_LOCK})`);
      await before?.(em);
      const transaction: unknown = em.getTransactionContext();
      await orm.migrator.up({ transaction });
    });
    await after?.(orm.em.fork());
  } finally {
    await orm.close();
  }
}

/** Any number that nothing else locks. */
const MIGRATION_LOCK = 724_310_377;
