import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Connection } from '@temporalio/client';
import { cacheDirOf } from '../../lib/cache-dir.ts';
import { ensureTemporal } from '../../local/temporal-binary.ts';
import { freePort } from '../../runtime/process/free-port.ts';
import { eventually } from '../support/eventually.ts';

/** A Temporal of its own, for a test that takes it away. It knows no search attribute but what it is given. */
export interface TemporalUnderTest {
  address: string;
  start(): Promise<void>;
  /** SIGKILL; resolves when it is gone. */
  kill(): Promise<void>;
  /** Forgets everything that it ever knew. It must not run. */
  loseStore(): Promise<void>;
  close(): Promise<void>;
}

export async function createTemporal(): Promise<TemporalUnderTest> {
  const program = await ensureTemporal({ cacheDir: cacheDirOf(process.env), env: process.env });
  const directory = await mkdtemp(join(tmpdir(), 'temporal-under-test-'));
  const port = await freePort(null);
  const address = `127.0.0.1:${port}`;
  let child: ChildProcess | null = null;
  let store = 0;

  const temporal: TemporalUnderTest = {
    address,
    async start() {
      const file = join(directory, `store-${store}.db`);
      const args = [
        'server',
        'start-dev',
        '--headless',
        '--ip',
        '127.0.0.1',
        '--port',
        String(port),
        '--db-filename',
        file,
        '--log-level',
        'never',
      ];
      child = spawn(program, args, { stdio: 'ignore' });
      await eventually(async () => (await Connection.connect({ address, connectTimeout: 1_000 })).close(), 30_000);
    },
    async kill() {
      if (!child || child.exitCode !== null || child.signalCode !== null) return;
      const gone = once(child, 'exit');
      child.kill('SIGKILL');
      await gone;
    },
    async loseStore() {
      store += 1;
    },
    async close() {
      await temporal.kill();
      await rm(directory, { recursive: true, force: true });
    },
  };
  return temporal;
}
