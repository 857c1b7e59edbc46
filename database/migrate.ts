import { MikroORM } from '@mikro-orm/postgresql';
import { ormConfig } from './orm-config.ts';

/** Brings the schema of this database up to date. Of two at once, one waits for the other. */
export async function migrate(databaseUrl: string): Promise<void> {
  const orm = await MikroORM.init(ormConfig(databaseUrl));
  try {
    await orm.em.transactional(async (em) => {
      await em.execute('select pg_advisory_xact_lock(?)', [MIGRATION_LOCK]);
      const transaction: unknown = em.getTransactionContext();
      await orm.migrator.up({ transaction });
    });
  } finally {
    await orm.close();
  }
}

/** Any number that nothing else locks. */
const MIGRATION_LOCK = 724_310_377;
