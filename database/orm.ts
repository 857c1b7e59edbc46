import { MikroORM } from '@mikro-orm/postgresql';
import { escapeLiteral } from './escape-literal.ts';
import { ormConfig } from './orm-config.ts';
import { prepareStatements } from './prepared-statements.ts';

/** Far longer than any statement of a process takes, far shorter than anybody waits. */
const STATEMENT_MS = 60_000;
/** For a row or an advisory lock that another transaction holds. */
const LOCK_MS = 10_000;
/** A transaction does nothing but statements, so one that says nothing belongs to a process that hangs. */
const IDLE_IN_TRANSACTION_MS = 30_000;
/** For a connection of the pool, or a new one. */
const CONNECTION_MS = 30_000;

/**
 * Opens the database. Rejects when it cannot be reached. Each of its connections knows the prepared statements, and gives
 * up what takes too long: a statement after statementMs (0: never), a lock after ten seconds.
 */
export async function createOrm(databaseUrl: string, { statementMs = STATEMENT_MS } = {}): Promise<MikroORM> {
  const limits = {
    statement_timeout: statementMs,
    lock_timeout: LOCK_MS,
    idle_in_transaction_session_timeout: IDLE_IN_TRANSACTION_MS,
    connectionTimeoutMillis: CONNECTION_MS,
  };
  const orm = await MikroORM.init({ ...ormConfig(databaseUrl), driverOptions: { ...limits, onConnect: prepareStatements } });
  escapeFast(orm);
  return orm;
}

/** MikroORM writes every value into the text of its statement. */
function escapeFast(orm: MikroORM): void {
  const platform = orm.config.getPlatform();
  const escape = platform.escape.bind(platform);
  platform.escape = (value: unknown) => (typeof value === 'string' ? escapeLiteral(value) : escape(value));
}
