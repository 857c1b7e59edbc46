import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { ProcessDriver } from '../../../runtime/process/process-driver.ts';
import { layoutOf } from '../../../runtime/host/runtime-layout.ts';

test('a configuration that is there already is not written, except again for a gateway that has missed it', async () => {
  const dataDir = await mkdtemp(join(tmpdir(), 'write-config-'));
  try {
    const program = { node: process.execPath, entry: 'none', compileCacheDir: dataDir };
    const driver = new ProcessDriver({ dataDir, relayUrl: 'http://127.0.0.1:9/v1', program });
    const { configFile } = layoutOf(dataDir, 'run_test');
    const write = async (options?: { again: boolean }) => {
      const call = { epoch: 1, signal: new AbortController().signal };
      await driver.writeConfig({ runtimeId: 'run_test', renderConfig: () => '{}' }, call, options);
      return [await readFile(configFile, 'utf8'), (await stat(configFile, { bigint: true })).ctimeNs];
    };
    const first = await write();
    expect(await write()).toEqual(first);
    const again = await write({ again: true });
    expect(again[0]).toBe('{}');
    expect(again[1]).not.toBe(first[1]);
  } finally {
    await rm(dataDir, { recursive: true });
  }
});
