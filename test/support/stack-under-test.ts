import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { cacheDirOf } from '../../lib/cache-dir.ts';
import { SMALL_PROCESS_ENV } from '../../lib/small-process.ts';
import { loadConfig } from '../../lib/settings/config.ts';
import { createDriver } from '../../runtime/create-driver.ts';
import { Engine } from '../../runtime/docker/engine.ts';
import { namesOf } from '../../runtime/docker/names.ts';
import { removeWalls } from '../../runtime/docker/walls.ts';
import type { RuntimeDriver } from '../../runtime/driver.ts';
import { ensureOpenClaw } from '../../runtime/openclaw/install/installation.ts';
import { freePorts } from '../local/free-ports.ts';
import { createApiClient } from './api-client.ts';
import type { ApiClient } from './api-client.ts';
import { eventually, PATIENCE_MS } from './eventually.ts';
import { startFakeModel } from './fake-model.ts';
import type { FakeModel } from './fake-model.ts';
import { registerAccount } from './register-account.ts';
import type { StandIn } from './stand-in-openclaw.ts';
import { asRole, createTestDatabase } from './test-database.ts';
import { createTestNamespace } from './test-temporal.ts';
import { removeFolder } from './remove-folder.ts';
import { ofThisRun, runFolder } from './run-folder.ts';

export type ProcessName = 'api' | 'worker' | 'relay';

const NAMES: readonly ProcessName[] = ['relay', 'api', 'worker'];
/** In the order of their metrics' ports. */
const METRICS_PORTS: readonly ProcessName[] = ['api', 'worker', 'relay'];
const OPERATOR_TOKEN = 'operator-token-of-the-stack-under-test';
const ROOT = join(import.meta.dirname, '../..');

export interface StackUnderTest {
  /** Base URL of the API, without /v1. */
  url: string;
  databaseUrl: string;
  dataDir: string;
  model: FakeModel;
  driver: RuntimeDriver;
  masterKey: { id: string; key: Buffer };
  temporal: { address: string; namespace: string };
  /** Calls as the operator. */
  operator: ApiClient;
  /** Registers a new account, with this sign-up credit, and calls as it, by an API key. */
  newAccount(creditUsd?: string): Promise<ApiClient & { accountId: string }>;
  pidOf(name: ProcessName): number;
  /** Whether it was started and has not ended. */
  runs(name: ProcessName): boolean;
  /** SIGKILL; resolves when it is gone. */
  kill(name: ProcessName): Promise<void>;
  /** Asks it to end; resolves with its exit code when it is gone. */
  end(name: ProcessName, signal: 'SIGTERM' | 'SIGINT'): Promise<number | null>;
  /** Starts it (again) and resolves when it is ready. */
  start(name: ProcessName): Promise<void>;
  /** Where its metrics are. */
  metricsUrlOf(name: ProcessName): string;
  /** What it has logged so far. */
  logOf(name: ProcessName): Promise<string>;
  close(): Promise<void>;
}

interface StackOptions {
  /** Over the settings of every process. */
  env?: Record<string, string>;
  temporalAddress?: string;
  /** The file of the worker's program; by default `worker/main.ts`. */
  workerFile?: string;
  /** What is started as a gateway; by default the real OpenClaw. */
  openClaw?: StandIn;
}

/** API, worker and relay as processes of their own, on a database and a Temporal namespace of their own. */
export async function startStack(options: StackOptions = {}): Promise<StackUnderTest> {
  const cacheDir = cacheDirOf(process.env);
  const [openclaw, database, namespace, model, dataDir, apiPort] = await Promise.all([
    ensureOpenClaw({ cacheDir, env: process.env }),
    createTestDatabase(),
    createTestNamespace(),
    startFakeModel(),
    runFolder('stack'),
    // API, relay, and the metrics of the three.
    freePorts(5),
  ]);
  const temporal = { address: options.temporalAddress ?? namespace.address, namespace: namespace.namespace };
  const [relayPort, metricsPort] = [apiPort + 1, apiPort + 2];
  const masterKey = { id: 'test', key: randomBytes(32) };
  const env = {
    PATH: process.env['PATH'] ?? '',
    HOME: process.env['HOME'] ?? '',
    ...ofThisRun(),
    ...SMALL_PROCESS_ENV,
    HOST: '127.0.0.1',
    PORT: String(apiPort),
    RELAY_PORT: String(relayPort),
    METRICS_PORT: String(metricsPort),
    DATABASE_URL: database.url,
    TEMPORAL_ADDRESS: temporal.address,
    TEMPORAL_NAMESPACE: temporal.namespace,
    MASTER_KEYS: `${masterKey.id}:${masterKey.key.toString('base64')}`,
    OPERATOR_TOKEN,
    MODEL_UPSTREAM_URL: model.url,
    SMTP_URL: 'print:',
    DATA_DIR: dataDir,
    POOL_SIZE: '0',
    // Whether the machine has swap must make no difference to a test that does not ask for it.
    SUSPEND: 'off',
    RATE_LIMIT_PER_MINUTE: '10000000',
    MAX_CALLS_PER_ACCOUNT: '10000',
    MAX_WAITS_PER_ACCOUNT: '10000',
    AUTH_RATE_LIMIT_PER_MINUTE: '100000',
    ...(options.openClaw ? { XDG_CACHE_HOME: options.openClaw.cacheHome } : {}),
    ...options.env,
  };
  const config = loadConfig(env);
  const driver = createDriver(config, { openclaw, cacheDir, node: process.execPath });
  const children = new Map<ProcessName, ChildProcess>();
  const readyUrls: Record<ProcessName, string> = {
    api: `http://127.0.0.1:${apiPort}/readyz`,
    relay: `http://${config.RELAY_HOST}:${relayPort}/readyz`,
    worker: `http://127.0.0.1:${metricsPort + 1}/readyz`,
  };
  const logFile = (name: ProcessName) => join(dataDir, `${name}.log`);

  async function start(name: ProcessName): Promise<void> {
    const output = openSync(logFile(name), 'a');
    // As in a container of its own, the API has nothing of what runs instances.
    const apart = name === 'api' ? { DATA_DIR: '/nowhere', DOCKER_SOCKET: '/nowhere/docker.sock' } : {};
    const own = { ...env, ...apart, DATABASE_URL: asRole(database.url, name) };
    const child = spawn(
      process.execPath,
      [name === 'worker' && options.workerFile ? options.workerFile : join(ROOT, name, 'main.ts')],
      {
        env: own,
        cwd: ROOT,
        stdio: ['ignore', output, output],
      },
    );
    closeSync(output);
    children.set(name, child);
    await eventually(async () => {
      if (child.exitCode !== null) throw new Error(`${name} ended: ${(await readFile(logFile(name), 'utf8')).slice(-2_000)}`);
      const response = await fetch(readyUrls[name]);
      if (!response.ok) throw new Error(`${name} is not ready: ${response.status} ${await response.text()}`);
    });
  }

  async function end(name: ProcessName, signal: NodeJS.Signals): Promise<number | null> {
    const child = children.get(name);
    if (!child || child.exitCode !== null || child.signalCode !== null) return null;
    const gone = once(child, 'exit');
    child.kill(signal);
    await gone;
    return child.exitCode;
  }

  const url = `http://127.0.0.1:${apiPort}`;
  const operator = createApiClient(url, { authorization: `Bearer ${OPERATOR_TOKEN}` });
  const stack: StackUnderTest = {
    url,
    databaseUrl: database.url,
    dataDir,
    model,
    driver,
    masterKey,
    temporal,
    operator,
    newAccount: (creditUsd) => registerAccount(url, operator, creditUsd),
    pidOf(name) {
      const pid = children.get(name)?.pid;
      if (pid === undefined) throw new Error(`${name} does not run`);
      return pid;
    },
    runs(name) {
      const child = children.get(name);
      return child !== undefined && child.exitCode === null && child.signalCode === null;
    },
    kill: async (name) => void (await end(name, 'SIGKILL')),
    end,
    start,
    metricsUrlOf: (name) => `http://127.0.0.1:${metricsPort + METRICS_PORTS.indexOf(name)}/metrics`,
    logOf: (name) => readFile(logFile(name), 'utf8'),
    async close() {
      // SIGKILL, so that nothing is tidied up that the test should have found; its gateways are destroyed by hand.
      await Promise.all(NAMES.map((name) => end(name, 'SIGKILL')));
      for (const { runtimeId } of await driver.list())
        await driver.destroy(runtimeId, { epoch: Number.MAX_SAFE_INTEGER, signal: AbortSignal.timeout(PATIENCE_MS) });
      if (config.RUNTIME === 'docker') await removeWalls(new Engine(config.DOCKER_SOCKET), namesOf(dataDir));
      await model.close();
      await database.drop();
      await removeFolder(dataDir);
    },
  };
  try {
    for (const name of NAMES) await start(name);
  } catch (error) {
    await stack.close();
    throw error;
  }
  return stack;
}
