import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { Connection } from '@temporalio/client';
import { freePort } from '../../runtime/host/free-port.ts';
import { eventually } from './eventually.ts';
import { productionTemporal } from './temporal-programs.ts';

/** A Temporal server of production's kind on a port of this machine, for one test file. Throws when it does not answer in time. */
export async function startOwnTemporal({ waitMs }: { waitMs: number }): Promise<{ port: number; end(): Promise<void> }> {
  const port = await freePort(null);
  const { command, args, env } = await productionTemporal(port);
  const child = spawn(command, args, { env, stdio: 'ignore' });
  const address = `127.0.0.1:${port}`;
  await eventually(async () => (await Connection.connect({ address, connectTimeout: 10_000 })).close(), waitMs);
  return {
    port,
    async end() {
      const gone = once(child, 'exit');
      child.kill('SIGKILL');
      await gone;
    },
  };
}
