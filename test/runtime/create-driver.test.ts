import { expect, test } from '@jest/globals';
import { createDriver, driverWarnings } from '../../runtime/create-driver.ts';

const config = { RUNTIME: 'process', DATA_DIR: '/data', RELAY_HOST: '127.0.0.1', RELAY_PORT: 3001 } as const;
const deps = { openclaw: { entry: '/index.js', version: '1.0.0' }, cacheDir: '/cache', node: '/node' };

test('an instance reaches the relay under the configured address', () => {
  expect(createDriver(config, deps).relayUrl()).toBe('http://127.0.0.1:3001/v1');
  expect(createDriver({ ...config, RELAY_HOST: '::1' }, deps).relayUrl()).toBe('http://[::1]:3001/v1');
});

test('an operator is told that processes do not isolate tenants', () => {
  expect(driverWarnings(config).join()).toContain('does not isolate');
});

test('an id that could leave the data directory is refused', async () => {
  const driver = createDriver(config, deps);
  for (const id of ['../x', '.epochs', '', 'A', 'a/b']) await expect(driver.inspect(id)).rejects.toThrow('Not a runtime id');
});
