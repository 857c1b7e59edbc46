import { MikroORM } from '@mikro-orm/postgresql';
import { ormConfig } from './orm-config.ts';
import { prepareStatements } from './prepared-statements.ts';

/** Opens the database. Rejects when it cannot be reached. Each of its connections knows the prepared statements. */
export async function createOrm(databaseUrl: string): Promise<MikroORM> {
  return MikroORM.init({ ...ormConfig(databaseUrl), driverOptions: { onConnect: prepareStatements } });
}
