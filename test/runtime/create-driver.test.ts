import { expect, test } from '@jest/globals';
import { createDriver } from '../../runtime/create-driver.ts';
import { driverWarnings } from '../../runtime/driver-warnings.ts';

const config = { RUNTIME: 'process', DATA_DIR: '/data', RELAY_HOST: '127.0.0.1', RELAY_PORT: 3001 } as const;
const deps = { openclaw: { entry: '/index.js', version: '1.0.0' }, cacheDir: '/cache', node: '/node' };

test('an instance reaches the relay under the configured address', () => {
  expect(createDriver(config, deps).relayUrl()).toBe('http://127.0.0.1:3001/v1');
  expect(createDriver({ ...config, RELAY_HOST: '::1' }, deps).relayUrl()).toBe('http://[::1]:3001/v1');
});

test('an operator is told that processes do not isolate tenants', () => {
  expect(driverWarnings({ ...config, MAX_RUNNING: 4, INSTANCE_MEMORY_MB: 1_536 }).join()).toContain('does not isolate');
});

test('an operator is told that more instances may run in containers than the memory of the machine holds', () => {
  const docker = { RUNTIME: 'docker', INSTANCE_DISK_MB: 2_048, INSTANCE_MEMORY_MB: 1_536 } as const;
  const totalBytes = 16 * 1024 ** 3;
  expect(driverWarnings({ ...docker, MAX_RUNNING: 8 }, totalBytes)).toEqual([]);
  expect(driverWarnings({ ...docker, MAX_RUNNING: 9 }, totalBytes).join()).toContain(
    'MAX_RUNNING is 9, and the memory of this machine holds 8 instances of 1536 MiB',
  );
});

test('an id that could leave the data directory is refused', async () => {
  const driver = createDriver(config, deps);
  for (const id of ['../x', '.epochs', '', 'A', 'a/b']) await expect(driver.inspect(id)).rejects.toThrow('Not a runtime id');
});
