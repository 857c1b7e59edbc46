import { setTimeout as sleep } from 'node:timers/promises';
import { MikroORM } from '@mikro-orm/postgresql';
import type { Pool } from 'pg';
import { shareConnections } from '../lib/async/fair-connections.ts';
import { escapeLiteral } from './escape-literal.ts';
import { ormConfig } from './orm-config.ts';

/** Far longer than any statement of a process takes, and shorter than callers wait for one. */
const STATEMENT_MS = 60_000;
/** For a row or an advisory lock that another transaction holds. */
const LOCK_MS = 10_000;
/** A transaction does nothing but statements, so one that says nothing belongs to a process that hangs. */
const IDLE_IN_TRANSACTION_MS = 30_000;
/** For a connection of the pool, or a new one. */
const CONNECTION_MS = 30_000;
const CONNECTIONS = 10;
const RESERVED_CONNECTIONS = 2;
/** For what still uses a connection when the database is closed. */
const CLOSE_MS = 10_000;
const LOOK_MS = 10;

interface OrmOptions {
  /** What one statement may take; 0: as long as it likes. */
  statementMs?: number;
  /** At the same time, at most. */
  connections?: number;
  /** Those of one account, of them: alone, and while others use some. By default all. */
  ofAccount?: { atOnce: number; shared: number };
}

/**
 * Opens the database. Rejects when it cannot be reached. Each of its connections gives up what takes too long: a statement after statementMs, a lock after ten seconds.
 */
export async function createOrm(
  databaseUrl: string,
  { statementMs = STATEMENT_MS, connections = CONNECTIONS, ofAccount }: OrmOptions = {},
): Promise<MikroORM> {
  const limits = {
    statement_timeout: statementMs,
    lock_timeout: LOCK_MS,
    idle_in_transaction_session_timeout: IDLE_IN_TRANSACTION_MS,
    connectionTimeoutMillis: CONNECTION_MS,
  };
  const pools: Pool[] = [];
  const onPoolCreated = (pool: Pool): void => {
    pools.push(pool);
    if (ofAccount) shareConnections(pool, { ...ofAccount, patienceMs: CONNECTION_MS });
  };
  const orm = await MikroORM.init({
    ...ormConfig(databaseUrl),
    pool: { min: 0, max: connections },
    driverOptions: { ...limits, onPoolCreated },
  });
  escapeFast(orm);
  closeUnused(orm, pools);
  return orm;
}

/**
 * Opens the database on a few connections apart from all others, for what must go on while those are taken: leases, and
 * the question whether the database is there.
 */
export function createReservedOrm(databaseUrl: string): Promise<MikroORM> {
  return createOrm(databaseUrl, { connections: RESERVED_CONNECTIONS });
}

/**
 * Closes the pool once all of its connections are unused, or after ten seconds. Kysely never gives back a connection that is being
 * opened when the pool is closed, and the pool would wait for it for ever.
 */
function closeUnused(orm: MikroORM, pools: readonly Pool[]): void {
  const close = orm.close.bind(orm);
  orm.close = async (force) => {
    const isUsed = (): boolean =>
      pools.some(({ totalCount, idleCount, waitingCount }) => totalCount > idleCount || waitingCount > 0);
    let waitedMs = 0;
    // At least once: a statement that has just begun asks for its connection a moment later.
    do {
      await sleep(LOOK_MS);
      waitedMs += LOOK_MS;
    } while (isUsed() && waitedMs < CLOSE_MS);
    await close(force);
  };
}

/** MikroORM writes every value into the text of its statement. */
function escapeFast(orm: MikroORM): void {
  const platform = orm.config.getPlatform();
  const escape = platform.escape.bind(platform);
  platform.escape = (value: unknown) => (typeof value === 'string' ? escapeLiteral(value) : escape(value));
}
