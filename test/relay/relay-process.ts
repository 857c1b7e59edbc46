import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { relayKeys } from '../../runtime/openclaw/install/tokens.ts';
import type { MasterKey } from '../../runtime/openclaw/install/tokens.ts';
import { freePorts } from '../local/free-ports.ts';
import { eventually } from '../support/eventually.ts';
import { asRole } from '../support/test-database.ts';
import { MASTER_KEYS, MODEL, UPSTREAM_MODEL } from './relay-under-test.ts';

const MAIN = join(import.meta.dirname, '../../relay/main.ts');
export const NODE = join(import.meta.dirname, '../../node_modules/.bin/node');
/** The relay serves its metrics on METRICS_PORT + 2. */
const METRICS_PORT_OFFSET = 2;

/** The relay as a process of its own. */
export interface RelayProcess {
  /** Base URL, ending in /v1. */
  url: string;
  metricsUrl: string;
  child: ChildProcess;
  /** What it has written to its log so far. */
  log(): string;
  /** Ends it as an operator does. */
  stop(): Promise<void>;
}

/** Keys as a setting has them. */
export const keysText = (keys: readonly MasterKey[]) => keys.map(({ id, key }) => `${id}:${key.toString('base64')}`).join(',');

/** Starts the relay as its user of this database, with these settings and without the environment of the tests. */
export async function startRelayProcess(databaseUrl: string, settings: Record<string, string> = {}): Promise<RelayProcess> {
  const port = await freePorts(2);
  const metricsPort = port + 1;
  const child = spawn(NODE, [MAIN], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      DATABASE_URL: asRole(databaseUrl, 'relay'),
      RELAY_PORT: String(port),
      METRICS_PORT: String(metricsPort - METRICS_PORT_OFFSET),
      RELAY_KEYS: keysText(relayKeys(MASTER_KEYS)),
      MODELS: JSON.stringify({ [MODEL]: { upstream: UPSTREAM_MODEL, contextWindow: 1024, maxTokens: 1024 } }),
      ...settings,
    },
  });
  let log = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (log += String(chunk)));
  const url = `http://127.0.0.1:${port}/v1`;
  await eventually(async () => {
    if (!(await fetch(new URL('/readyz', url))).ok) throw new Error('The relay is not ready');
  });
  return {
    ...{ url, metricsUrl: `http://127.0.0.1:${metricsPort}/metrics`, child, log: () => log },
    async stop() {
      const exit = once(child, 'exit');
      child.kill('SIGTERM');
      await exit;
    },
  };
}
