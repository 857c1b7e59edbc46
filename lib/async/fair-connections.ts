import type { Pool, PoolClient } from 'pg';
import { actingFor } from './acting-for.ts';
import { createCallSlots, NoSlotError } from './call-slots.ts';

export interface ConnectionShare {
  /** Connections of one account at the same time. */
  atOnce: number;
  /** The same while other accounts use connections too. */
  shared: number;
  patienceMs: number;
}

type Connected = (error: Error | undefined, client: PoolClient | undefined, release: (error?: Error | boolean) => void) => void;

/**
 * Makes a pool give each account its share of the connections only: what is done in the name of an account (`actFor`) waits for
 * connections of that account, never for those of others. Work of the platform itself has no limit but that of the pool.
 */
export function shareConnections(pool: Pool, { atOnce, shared, patienceMs }: ConnectionShare): void {
  const slots = createCallSlots({ atOnce, shared, waiting: Number.POSITIVE_INFINITY, patienceMs });
  const connect = pool.connect.bind(pool);

  async function connectFairly(): Promise<PoolClient> {
    const accountId = actingFor();
    if (accountId === undefined) return connect();
    const slot = await slots.enter(accountId).catch((cause: unknown) => {
      // The words of the pool, which has no code for it.
      throw cause instanceof NoSlotError ? new Error('timeout exceeded when trying to connect', { cause }) : cause;
    });
    try {
      return giving(await connect(), slot.leave);
    } catch (error) {
      slot.leave();
      throw error;
    }
  }

  function connectAsAsked(): Promise<PoolClient>;
  function connectAsAsked(callback: Connected): void;
  function connectAsAsked(callback?: Connected): Promise<PoolClient> | void {
    const connecting = connectFairly();
    if (!callback) return connecting;
    connecting.then(
      (client) => callback(undefined, client, (error) => client.release(error)),
      (error: Error) => callback(error, undefined, () => undefined),
    );
  }
  pool.connect = connectAsAsked;
}

/** The client, whose next release calls this too. The pool gives it another `release` with each use. */
function giving(client: PoolClient, onRelease: () => void): PoolClient {
  const release = client.release.bind(client);
  client.release = (error) => {
    onRelease();
    release(error);
  };
  return client;
}
