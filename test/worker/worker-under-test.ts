import { spawn } from 'node:child_process';
import { residentMiB } from '../support/resident-memory.ts';
import type { ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { cacheDirOf } from '../../lib/cache-dir.ts';
import { createDriver } from '../../runtime/create-driver.ts';
import type { RuntimeDriver } from '../../runtime/driver.ts';
import { ensureOpenClaw } from '../../runtime/openclaw/install/installation.ts';
import { freePort } from '../../runtime/host/free-port.ts';
import { readRecord } from '../../runtime/process/gateway-record.ts';
import { layoutOf } from '../../runtime/host/runtime-layout.ts';
import { eventually, PATIENCE_MS } from '../support/eventually.ts';
import { installScriptedOpenClaw } from '../support/stand-in-openclaw.ts';
import { asRole } from '../support/test-database.ts';
import { removeFolder } from '../support/remove-folder.ts';
import { runFolder } from '../support/run-folder.ts';

const MAIN = join(import.meta.dirname, '../../worker/main.ts');

const readiness = z.object({
  status: z.string(),
  temporal: z.enum(['up', 'down']),
  shards: z.array(z.number()),
  gateways: z.object({ watched: z.number(), connected: z.number() }),
});

/** A worker as a process of its own, which is killed and started again on one DATA_DIR. Its gateways are scripted ones. */
export interface WorkerUnderTest {
  driver: RuntimeDriver;
  /** Starts it, with these settings over its own, and resolves when it says that it is ready. */
  start(settings?: Record<string, string>): Promise<void>;
  /** Of the gateway of this runtime. */
  gatewayPid(runtimeId: string): Promise<number>;
  /** Resolves with its exit code when it is gone; null when a signal ended it. */
  end(signal: 'SIGTERM' | 'SIGINT' | 'SIGKILL'): Promise<number | null>;
  readiness(): Promise<z.infer<typeof readiness>>;
  metrics(): Promise<string>;
  log(): Promise<string>;
  /** Of the process, in MiB. */
  residentMiB(): Promise<number>;
  /** Ends it and its gateways, and removes what they stored. */
  close(): Promise<void>;
}

interface Settings {
  databaseUrl: string;
  temporalAddress: string;
  temporalNamespace: string;
}

export async function createWorker({ databaseUrl, temporalAddress, temporalNamespace }: Settings): Promise<WorkerUnderTest> {
  const cacheDir = cacheDirOf(process.env);
  const [openclaw, standIn] = await Promise.all([ensureOpenClaw({ cacheDir, env: process.env }), installScriptedOpenClaw()]);
  const dataDir = await runFolder('worker');
  const metricsPort = await freePort(null);
  const config = { RUNTIME: 'process', DATA_DIR: dataDir, RELAY_HOST: '127.0.0.1', RELAY_PORT: 9 } as const;
  const driver = createDriver(config, { openclaw, cacheDir, node: process.execPath });
  const logFile = join(dataDir, 'worker.log');
  const env = {
    PATH: process.env['PATH'],
    HOME: process.env['HOME'],
    XDG_CACHE_HOME: standIn.cacheHome,
    DATABASE_URL: asRole(databaseUrl, 'worker'),
    TEMPORAL_ADDRESS: temporalAddress,
    TEMPORAL_NAMESPACE: temporalNamespace,
    MASTER_KEYS: `test:${randomBytes(32).toString('base64')}`,
    SMTP_URL: 'print:',
    DATA_DIR: dataDir,
    RELAY_PORT: '9',
    METRICS_PORT: String(metricsPort - 1),
  };
  let child: ChildProcess | null = null;
  const get = (path: string) => fetch(`http://127.0.0.1:${metricsPort}${path}`);

  const worker: WorkerUnderTest = {
    driver,
    async start(settings = {}) {
      const output = openSync(logFile, 'a');
      child = spawn(process.execPath, [MAIN], { env: { ...env, ...settings }, stdio: ['ignore', output, output] });
      closeSync(output);
      await eventually(async () => {
        if (child?.exitCode !== null) throw new Error(`the worker ended: ${(await worker.log()).slice(-2_000)}`);
        if ((await get('/readyz')).status !== 200) throw new Error('not ready');
      });
    },
    async gatewayPid(runtimeId) {
      const record = await readRecord(layoutOf(dataDir, runtimeId));
      if (!record) throw new Error('No gateway was started');
      return record.pid;
    },
    async end(signal) {
      if (!child || child.exitCode !== null || child.signalCode !== null) return null;
      const gone = once(child, 'exit');
      child.kill(signal);
      await gone;
      return child.exitCode;
    },
    readiness: async () => readiness.parse(await (await get('/readyz')).json()),
    metrics: async () => (await get('/metrics')).text(),
    log: () => readFile(logFile, 'utf8'),
    residentMiB: () => residentMiB(child?.pid ?? Number.NaN),
    async close() {
      await worker.end('SIGKILL');
      for (const { runtimeId } of await driver.list())
        await driver.destroy(runtimeId, { epoch: Number.MAX_SAFE_INTEGER, signal: AbortSignal.timeout(PATIENCE_MS) });
      await removeFolder(dataDir);
      await standIn.remove();
    },
  };
  return worker;
}
