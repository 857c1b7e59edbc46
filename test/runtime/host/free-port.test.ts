import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from '@jest/globals';
import { freePort, takePort } from '../../../runtime/host/free-port.ts';

const MODULE = join(import.meta.dirname, '../../../runtime/host/free-port.ts');

/** Asks for this port in a process of its own. */
async function takeElsewhere(port: number): Promise<string> {
  const script = `import { takePort } from ${JSON.stringify(MODULE)}; console.log(await takePort(${port}));`;
  return (await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', script])).stdout.trim();
}

test('a port that was answered is answered to nobody else, in this process or another, though nobody listens yet', async () => {
  const port = await freePort(null);
  expect(await takePort(port)).toBe(false);
  expect(await takeElsewhere(port)).toBe('false');
});

test('a port that was answered to a process that has ended is free again', async () => {
  const script = `import { freePort } from ${JSON.stringify(MODULE)}; console.log(await freePort(null));`;
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', script]);
  expect(await takePort(Number(stdout))).toBe(true);
});

test('its owner listens on a port that was answered, and gets the same one again', async () => {
  const port = await freePort(null);
  const server = createServer().listen(port, '127.0.0.1');
  await once(server, 'listening');
  expect(await freePort(port)).not.toBe(port);
  server.close();
  await once(server, 'close');
  expect(await freePort(port)).toBe(port);
});
