import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { freePorts } from '../local/free-ports.ts';
import { createApiClient } from '../support/api-client.ts';
import type { ApiClient } from '../support/api-client.ts';
import { eventually } from '../support/eventually.ts';
import { asRole, createTestDatabase } from '../support/test-database.ts';
import type { TestDatabase } from '../support/test-database.ts';
import { OPERATOR_TOKEN } from './api-under-test.ts';
import { removeFolder } from '../support/remove-folder.ts';
import { ofThisRun, runFolder } from '../support/run-folder.ts';

/** The API as a process of its own, as it runs in production, on a database of its own. */
export interface ApiProcess {
  url: string;
  port: number;
  pid: number;
  dataDir: string;
  database: TestDatabase;
  operator: ApiClient;
  /** What its metrics say now. */
  metrics(): Promise<string>;
  end(): Promise<void>;
}

/** Starts it without limits of rate, and waits until it is ready. */
export async function startApiProcess(env: Record<string, string> = {}): Promise<ApiProcess> {
  const database = await createTestDatabase();
  const dataDir = await runFolder('api');
  const port = await freePorts(2);
  const settings = {
    PATH: process.env['PATH'],
    HOME: process.env['HOME'],
    ...ofThisRun(),
    DATABASE_URL: asRole(database.url, 'api'),
    TEMPORAL_ADDRESS: '127.0.0.1:1',
    SMTP_URL: 'print:',
    PORT: String(port),
    METRICS_PORT: String(port + 1),
    MASTER_KEYS: `test:${Buffer.alloc(32, 7).toString('base64')}`,
    OPERATOR_TOKEN,
    DATA_DIR: dataDir,
    LOG_LEVEL: 'warn',
    RATE_LIMIT_PER_MINUTE: '1000000',
    AUTH_RATE_LIMIT_PER_MINUTE: '1000000',
    ...env,
  };
  const child = spawn(process.execPath, [join(import.meta.dirname, '../../api/main.ts')], { stdio: 'ignore', env: settings });
  const url = `http://127.0.0.1:${port}`;
  await eventually(async () => {
    if ((await fetch(`${url}/readyz`)).status !== 200) throw new Error('the API is not ready');
  });
  return {
    url,
    port,
    pid: child.pid ?? 0,
    dataDir,
    database,
    operator: createApiClient(url, { authorization: `Bearer ${OPERATOR_TOKEN}` }),
    metrics: async () => (await fetch(`http://127.0.0.1:${port + 1}/metrics`)).text(),
    async end() {
      const gone = once(child, 'exit');
      child.kill('SIGKILL');
      await gone;
      await database.drop();
      await removeFolder(dataDir);
    },
  };
}
