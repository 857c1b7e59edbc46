import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { freePorts } from '../local/free-ports.ts';
import { eventually } from '../support/eventually.ts';
import type { StackUnderTest } from '../support/stack-under-test.ts';

/** One more API process on the database of the stack. */
export async function startSecondApi(stack: StackUnderTest): Promise<{ url: string; end(): Promise<void> }> {
  const port = await freePorts(2);
  const metricsPort = port + 1;
  const { id, key } = stack.masterKey;
  const env = {
    PATH: process.env['PATH'],
    HOME: process.env['HOME'],
    PORT: String(port),
    METRICS_PORT: String(metricsPort),
    DATABASE_URL: stack.databaseUrl,
    TEMPORAL_ADDRESS: stack.temporal.address,
    TEMPORAL_NAMESPACE: stack.temporal.namespace,
    MASTER_KEYS: `${id}:${key.toString('base64')}`,
    SMTP_URL: 'print:',
    DATA_DIR: stack.dataDir,
    RATE_LIMIT_PER_MINUTE: '10000000',
    MAX_CALLS_PER_ACCOUNT: '10000',
    MAX_WAITS_PER_ACCOUNT: '10000',
  };
  const child = spawn(process.execPath, [join(import.meta.dirname, '../../api/main.ts')], { env, stdio: 'ignore' });
  const url = `http://127.0.0.1:${port}`;
  await eventually(async () => {
    if (!(await fetch(`${url}/readyz`)).ok) throw new Error('the second API is not ready');
  }, 60_000);
  return {
    url,
    async end() {
      const gone = once(child, 'exit');
      child.kill('SIGTERM');
      await gone;
    },
  };
}
