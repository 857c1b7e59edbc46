import { setTimeout as sleep } from 'node:timers/promises';
import type { Log } from '../lib/log.ts';
import type { Endpoint } from '../runtime/driver.ts';
import { deviceOf } from '../runtime/openclaw/wire/device-identity.ts';
import { connectGateway, GatewayConnectError, GatewayFloodError } from '../runtime/openclaw/wire/gateway-client.ts';
import type { GatewayClient } from '../runtime/openclaw/wire/gateway-client.ts';
import type { InflowLimits } from '../runtime/openclaw/wire/inflow-budget.ts';
import { gatewayToken } from '../runtime/openclaw/install/tokens.ts';
import type { MasterKey } from '../runtime/openclaw/install/tokens.ts';
import { FloodPauses } from './flood-pauses.ts';

/** Who knows where the gateway of a runtime listens: a driver, or the row that a worker has written. */
export interface Endpoints {
  /** Null when no gateway runs. */
  endpoint(runtimeId: string): Promise<Pick<Endpoint, 'wsUrl' | 'peer'> | null>;
}

export interface GatewayConnections {
  /**
   * The process's one live connection to the gateway of this runtime, made anew when there is none; after a flood only
   * when a pause is over, up to half a minute that doubles each time. Throws GatewayConnectError when no gateway runs or
   * none lets us in, and the signal's reason when that ends the wait.
   */
  get(runtimeId: string, signal: AbortSignal): Promise<GatewayClient>;
  /**
   * Another connection beside that one, for many writes at once (see BulkWriter): the first such one, the second, and so
   * on. The caller closes it. Throws as `get` does.
   */
  openFurther(runtimeId: string, number: number, signal: AbortSignal): Promise<GatewayClient>;
  close(runtimeId: string): void;
  closeAll(): void;
}

interface Deps {
  endpoints: Endpoints;
  /** The active one first: a gateway that was configured with an older one still takes its token. */
  masterKeys: readonly MasterKey[];
  /** How much one gateway may send. */
  inflow?: InflowLimits;
  log: Log;
}

interface Entry {
  client: Promise<GatewayClient>;
  abort: AbortController;
}

const CONNECT_MS = 10_000;

/** Keeps at most one connection per runtime, shared by all who ask. */
export function createGatewayConnections(deps: Deps): GatewayConnections {
  const { log } = deps;
  const entries = new Map<string, Entry>();
  const pauses = new FloodPauses();

  async function connectAfterPause(runtimeId: string, signal: AbortSignal): Promise<GatewayClient> {
    const pauseMs = pauses.leftMs(runtimeId);
    if (pauseMs > 0) await sleep(pauseMs, undefined, { signal });
    return connect(deps, runtimeId, signal);
  }

  function open(runtimeId: string): Entry {
    const abort = new AbortController();
    const entry: Entry = { client: connectAfterPause(runtimeId, abort.signal), abort };
    entries.set(runtimeId, entry);
    const forget = (reason: unknown): void => {
      if (entries.get(runtimeId) === entry) entries.delete(runtimeId);
      if (!(reason instanceof GatewayFloodError)) return;
      const pauseMs = pauses.begin(runtimeId);
      log.warn(
        { runtimeId, pauseMs, why: reason.message },
        'the connection to a gateway was closed because the gateway sent too much data',
      );
    };
    entry.client.then(
      (client) => {
        if (abort.signal.aborted) client.close();
        const openedMs = performance.now();
        void client.closed.then(() => {
          pauses.noteLasting(runtimeId, performance.now() - openedMs);
          forget(client.flood);
        });
      },
      (err: unknown) => {
        forget(err);
        log.debug({ err, runtimeId }, 'could not connect to a gateway');
      },
    );
    return entry;
  }

  function close(runtimeId: string): void {
    pauses.forget(runtimeId);
    const entry = entries.get(runtimeId);
    if (!entry) return;
    entries.delete(runtimeId);
    entry.abort.abort(new GatewayConnectError('The connection was closed', { retryable: true }));
    entry.client.then(
      (client) => client.close(),
      () => undefined,
    );
  }

  return {
    async get(runtimeId, signal) {
      signal.throwIfAborted();
      const { client } = entries.get(runtimeId) ?? open(runtimeId);
      return orAborted(client, signal);
    },
    openFurther: (runtimeId, number, signal) => connect(deps, runtimeId, signal, number),
    close,
    closeAll() {
      for (const runtimeId of [...entries.keys()]) close(runtimeId);
    },
  };
}

async function connect(deps: Deps, runtimeId: string, signal: AbortSignal, number = 0): Promise<GatewayClient> {
  const { endpoints, masterKeys, inflow } = deps;
  const endpoint = await endpoints.endpoint(runtimeId);
  if (!endpoint) throw new GatewayConnectError('No gateway runs', { retryable: true });
  let refused: unknown = new GatewayConnectError('There is no master key', { retryable: false });
  for (const key of masterKeys) {
    try {
      const token = gatewayToken(key, runtimeId);
      const device = endpoint.peer === 'remote' ? deviceOf(key, runtimeId, number) : undefined;
      return await connectGateway({ wsUrl: endpoint.wsUrl, token, device, signal, timeoutMs: CONNECT_MS, inflow });
    } catch (error) {
      refused = error;
      if (!(error instanceof GatewayConnectError) || error.retryable) break;
    }
  }
  throw refused;
}

/** The promise, or the signal's reason when that comes first. */
function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}
