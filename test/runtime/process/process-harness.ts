import { execFile } from 'node:child_process';
import { mkdtemp, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { cacheDirOf } from '../../../lib/cache-dir.ts';
import { createDriver } from '../../../runtime/create-driver.ts';
import { readRecord } from '../../../runtime/process/gateway-record.ts';
import { layoutOf } from '../../../runtime/host/runtime-layout.ts';
import { processesOf } from '../../../runtime/process/runtime-processes.ts';
import { SCRIPTED_GATEWAY } from '../../support/scripted-gateway/scripted-control.ts';
import type { DriverHarness } from '../driver-contract.ts';
import { removeFolder } from '../../support/remove-folder.ts';

/** Processes of this machine, with the scripted gateway. */
export async function openProcessHarness(): Promise<DriverHarness & { pidsOf(runtimeId: string): Promise<number[]> }> {
  const cacheDir = cacheDirOf(process.env);
  // Which gateway it is makes no difference to this driver: with the real one docker-driver.test.ts holds to the same contract,
  // and every lent gateway is started, killed and stopped by it.
  const openclaw = { version: 'scripted', entry: SCRIPTED_GATEWAY };
  const dataDir = await mkdtemp(join(tmpdir(), 'process-driver-'));
  const config = { RUNTIME: 'process', DATA_DIR: dataDir, RELAY_HOST: '127.0.0.1', RELAY_PORT: 9 } as const;

  const recordOf = async (runtimeId: string) => {
    const record = await readRecord(layoutOf(dataDir, runtimeId));
    if (!record) throw new Error('no gateway was started');
    return record;
  };
  const environmentOf = async (runtimeId: string) => readFile(`/proc/${(await recordOf(runtimeId)).pid}/environ`, 'utf8');

  return {
    openDriver: () => createDriver(config, { openclaw, cacheDir, node: process.execPath }),
    killGateway: async (runtimeId) => void process.kill((await recordOf(runtimeId)).pid, 'SIGKILL'),
    environmentOf,
    runInside: async (runtimeId, script) => {
      const variables = (await environmentOf(runtimeId)).split('\0').filter((entry) => entry.includes('='));
      const env = Object.fromEntries(variables.map((entry) => entry.split(/=(.*)/s)));
      const cwd = layoutOf(dataDir, runtimeId).stateDir;
      return (await promisify(execFile)('/bin/sh', ['-c', script], { cwd, env })).stdout;
    },
    async pidsOf(runtimeId) {
      const { wrapperPid } = await recordOf(runtimeId);
      return (await processesOf(layoutOf(dataDir, runtimeId))).filter((pid) => pid !== wrapperPid);
    },
    close: () => removeFolder(dataDir),
  };
}
