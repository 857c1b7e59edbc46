import { MikroORM } from '@mikro-orm/postgresql';
import { ormConfig } from './orm-config.ts';

/** Opens the database. Rejects when it cannot be reached. */
export async function createOrm(databaseUrl: string): Promise<MikroORM> {
  return MikroORM.init(ormConfig(databaseUrl));
}
