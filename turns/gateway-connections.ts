import type { Log } from '../lib/log.ts';
import type { RuntimeDriver } from '../runtime/driver.ts';
import { deviceOf } from '../runtime/openclaw/device-identity.ts';
import { connectGateway, GatewayConnectError } from '../runtime/openclaw/gateway-client.ts';
import type { GatewayClient } from '../runtime/openclaw/gateway-client.ts';
import { gatewayToken } from '../runtime/openclaw/tokens.ts';
import type { MasterKey } from '../runtime/openclaw/tokens.ts';

export interface GatewayConnections {
  /**
   * The process's one live connection to the gateway of this runtime, made anew when there is none. Throws
   * GatewayConnectError when no gateway runs or none lets us in, and the signal's reason when that ends the wait.
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
  driver: Pick<RuntimeDriver, 'endpoint'>;
  /** The active one first: a gateway that was configured with an older one still takes its token. */
  masterKeys: readonly MasterKey[];
  log: Log;
}

interface Entry {
  client: Promise<GatewayClient>;
  abort: AbortController;
}

const CONNECT_MS = 10_000;

/** Keeps at most one connection per runtime, shared by all who ask. */
export function createGatewayConnections({ driver, masterKeys, log }: Deps): GatewayConnections {
  const entries = new Map<string, Entry>();

  async function connect(runtimeId: string, signal: AbortSignal, number = 0): Promise<GatewayClient> {
    const endpoint = await driver.endpoint(runtimeId);
    if (!endpoint) throw new GatewayConnectError('No gateway runs', { retryable: true });
    let refused: unknown = new GatewayConnectError('There is no master key', { retryable: false });
    for (const key of masterKeys) {
      try {
        const token = gatewayToken(key, runtimeId);
        const device = endpoint.peer === 'remote' ? deviceOf(key, runtimeId, number) : undefined;
        return await connectGateway({ wsUrl: endpoint.wsUrl, token, device, signal, timeoutMs: CONNECT_MS });
      } catch (error) {
        refused = error;
        if (!(error instanceof GatewayConnectError) || error.retryable) break;
      }
    }
    throw refused;
  }

  function open(runtimeId: string): Entry {
    const abort = new AbortController();
    const entry: Entry = { client: connect(runtimeId, abort.signal), abort };
    entries.set(runtimeId, entry);
    const forget = (): void => {
      if (entries.get(runtimeId) === entry) entries.delete(runtimeId);
    };
    entry.client.then(
      (client) => {
        if (abort.signal.aborted) client.close();
        void client.closed.then(forget);
      },
      (err: unknown) => {
        forget();
        log.debug({ err, runtimeId }, 'could not connect to a gateway');
      },
    );
    return entry;
  }

  function close(runtimeId: string): void {
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
    openFurther: (runtimeId, number, signal) => connect(runtimeId, signal, number),
    close,
    closeAll() {
      for (const runtimeId of [...entries.keys()]) close(runtimeId);
    },
  };
}

/** The promise, or the signal's reason when that comes first. */
function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}
