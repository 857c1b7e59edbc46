import { randomBytes } from 'node:crypto';
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isErrno } from '../../lib/errno.ts';
import { namesIn } from '../../runtime/host/missing-files.ts';
import { ProcessDriver } from '../../runtime/process/process-driver.ts';
import { PATIENCE_MS } from './eventually.ts';
import { openGateway } from './gateway-program.ts';
import type { GatewayUnderTest } from './gateway-program.ts';

/** A gateway of this run that no file has any more, else a new one that runs this program, which goes on after its file. */
export async function borrowFrom(runDir: string, entry: string, gatewayAgentIds: readonly string[]): Promise<GatewayUnderTest> {
  const { gateways, idle, lent } = poolOf(runDir);
  for (const directory of [gateways, idle, lent]) await mkdir(directory, { recursive: true });
  const name = (await takeIdle(idle, lent)) ?? randomBytes(4).toString('hex');
  const lend = () => writeFile(join(idle, name), '');
  return openGateway({ entry, dataDir: join(gateways, name), lend }, gatewayAgentIds);
}

/** Ends all gateways of the run. */
export async function endGateways(runDir: string): Promise<void> {
  const { gateways } = poolOf(runDir);
  for (const name of await namesIn(gateways)) {
    const driver = new ProcessDriver({ dataDir: join(gateways, name), relayUrl: '', program: null });
    const call = { epoch: Number.MAX_SAFE_INTEGER, signal: AbortSignal.timeout(PATIENCE_MS) };
    for (const { runtimeId } of await driver.list()) await driver.destroy(runtimeId, call);
  }
}

interface Pool {
  /** A data directory for each; test-run.ts knows it too. */
  gateways: string;
  /** An empty file for each that nobody has. */
  idle: string;
  lent: string;
}

function poolOf(runDir: string): Pool {
  return { gateways: join(runDir, 'gateways'), idle: join(runDir, 'idle-gateways'), lent: join(runDir, 'lent-gateways') };
}

/** Of several processes that ask at once, one moves the file. */
async function takeIdle(idle: string, lent: string): Promise<string | null> {
  for (const name of await namesIn(idle)) {
    try {
      await rename(join(idle, name), join(lent, name));
      return name;
    } catch (error) {
      if (!isErrno(error, 'ENOENT')) throw error;
    }
  }
  return null;
}
