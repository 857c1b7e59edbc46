import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Connection } from '@temporalio/client';
import { freePort } from '../../runtime/host/free-port.ts';
import { eventually } from '../support/eventually.ts';
import { newTemporal } from '../support/temporal-programs.ts';
import { removeFolder } from '../support/remove-folder.ts';

/** A Temporal of its own, of this run's kind, for a test that takes it away. */
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
  const directory = await mkdtemp(join(tmpdir(), 'temporal-under-test-'));
  const port = await freePort(null);
  const address = `127.0.0.1:${port}`;
  let program = await newTemporal(port, directory);
  let child: ChildProcess | null = null;

  const temporal: TemporalUnderTest = {
    address,
    async start() {
      child = spawn(program.command, program.args, { env: program.env, stdio: 'ignore' });
      await eventually(async () => (await Connection.connect({ address, connectTimeout: 1_000 })).close());
    },
    async kill() {
      if (!child || child.exitCode !== null || child.signalCode !== null) return;
      const gone = once(child, 'exit');
      child.kill('SIGKILL');
      await gone;
    },
    async loseStore() {
      program = await newTemporal(port, directory);
    },
    async close() {
      await temporal.kill();
      await removeFolder(directory);
    },
  };
  return temporal;
}
