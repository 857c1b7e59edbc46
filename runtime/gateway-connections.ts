import { setTimeout as sleep } from 'node:timers/promises';
import { orAborted } from '../lib/async/aborted.ts';
import type { Log } from '../lib/log.ts';
import type { Gateway } from './gateway/gateway.ts';
import { GatewayConnectError, GatewayFloodError } from './gateway/gateway-errors.ts';
import { connectOpenClaw } from './openclaw/connect-open-claw.ts';
import type { ConnectDeps } from './openclaw/connect-open-claw.ts';
import { FloodPauses } from './flood-pauses.ts';

export interface GatewayConnections {
  /**
   * The process's one live connection to the gateway of this runtime, made anew when there is none; after a flood only
   * when a pause is over, up to half a minute that doubles each time. Throws GatewayConnectError when no gateway runs or
   * none lets us in, and the signal's reason when that ends the wait.
   */
  get(runtimeId: string, signal: AbortSignal): Promise<Gateway>;
  close(runtimeId: string): void;
  closeAll(): void;
}

interface Deps extends ConnectDeps {
  log: Log;
}

interface Entry {
  client: Promise<Gateway>;
  abort: AbortController;
}

/** Keeps at most one connection per runtime, shared by all who ask. */
export function createGatewayConnections(deps: Deps): GatewayConnections {
  const { log } = deps;
  const entries = new Map<string, Entry>();
  const pauses = new FloodPauses();

  async function connectAfterPause(runtimeId: string, signal: AbortSignal): Promise<Gateway> {
    const pauseMs = pauses.leftMs(runtimeId);
    if (pauseMs > 0) await sleep(pauseMs, undefined, { signal });
    return connectOpenClaw(deps, runtimeId, signal);
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
    close,
    closeAll() {
      for (const runtimeId of [...entries.keys()]) close(runtimeId);
    },
  };
}
