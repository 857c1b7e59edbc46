import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from '@temporalio/client';
import { loadClientConnectConfig } from '@temporalio/envconfig';
import { NativeConnection } from '@temporalio/worker';
import type { NativeConnectionOptions } from '@temporalio/worker';
import { orAborted } from '../../lib/async/aborted.ts';
import type { Config } from '../../lib/settings/config.ts';
import type { Log } from '../../lib/log.ts';

/** The worker's way to Temporal, which may be away at any time. */
export interface TemporalLink {
  readonly namespace: string;
  /** Null until Temporal was reached for the first time; from then on the connection reconnects on its own. */
  connection(): NativeConnection | null;
  client(): Client | null;
  /** Resolves with the first connection, however long Temporal is away. Rejects with the signal's reason. */
  connected(signal: AbortSignal): Promise<NativeConnection>;
  /** Whether Temporal serves now; false after patienceMs. */
  isUp(patienceMs: number): Promise<boolean>;
  /** Ends the attempts and the connection. Nothing may use it any more. */
  close(): Promise<void>;
}

const PAUSE_MS = 1_000;
const LOOPBACK = /^(127\.|localhost:|\[::1\])/;

/** Connects to Temporal in the background, trying for ever. */
export function openTemporalLink(
  config: Pick<Config, 'TEMPORAL_ADDRESS' | 'TEMPORAL_NAMESPACE' | 'temporalEnv'>,
  log: Log,
): TemporalLink {
  const { TEMPORAL_NAMESPACE: namespace } = config;
  const closing = new AbortController();
  let connection: NativeConnection | null = null;
  let client: Client | null = null;

  async function connect(): Promise<NativeConnection> {
    const options = connectionOptions(config);
    for (let isFirst = true; ; isFirst = false) {
      closing.signal.throwIfAborted();
      try {
        connection = await NativeConnection.connect(options);
        client = new Client({ connection, namespace });
        log.info({ address: options.address, namespace }, 'connected to Temporal');
        return connection;
      } catch (err) {
        if (isFirst) log.warn({ err, address: options.address }, 'Temporal cannot be reached; trying again until it is');
        await sleep(PAUSE_MS, undefined, { signal: closing.signal });
      }
    }
  }

  const first = connect();
  // Callers of connected() get the rejection. Without one it must not count as unhandled.
  first.catch(() => undefined);
  return {
    namespace,
    connection: () => connection,
    client: () => client,
    connected: (signal) => orAborted(first, signal),
    async isUp(patienceMs) {
      const known = connection;
      if (!known) return false;
      try {
        await known.withDeadline(Date.now() + patienceMs, () => known.workflowService.getSystemInfo({}));
        return true;
      } catch {
        return false;
      }
    },
    async close() {
      closing.abort();
      await first.catch(() => undefined);
      await connection?.close();
    },
  };
}

/** Address and namespace are settings of ours; TLS and key come by Temporal's own names. */
function connectionOptions({
  TEMPORAL_ADDRESS: address,
  temporalEnv,
}: Pick<Config, 'TEMPORAL_ADDRESS' | 'temporalEnv'>): NativeConnectionOptions {
  const { connectionOptions: given } = loadClientConnectConfig({ overrideEnvVars: temporalEnv });
  // Compressing costs more than it saves where nothing leaves the machine.
  return { ...given, address, ...(LOOPBACK.test(address) ? { grpcCompression: { codec: 'none' } } : {}) };
}
