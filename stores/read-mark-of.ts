import { MikroORM } from '@mikro-orm/postgresql';
import { ormConfig } from '../database/orm-config.ts';
import { readMark } from '../database/stores/installation.ts';
import type { DatabaseMark } from '../database/stores/installation.ts';

/** What this database, which may be in any state, says of the installation that it belongs to. */
export async function readMarkOf(databaseUrl: string): Promise<DatabaseMark> {
  const orm = await MikroORM.init(ormConfig(databaseUrl));
  try {
    return await readMark(orm.em.fork());
  } finally {
    await orm.close();
  }
}
