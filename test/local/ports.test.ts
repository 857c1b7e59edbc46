import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo, Server } from 'node:net';
import { writeFile } from 'node:fs/promises';
import { afterEach, expect, test } from '@jest/globals';
import { checkPorts, KeptPorts } from '../../local/ports.ts';
import { Refusal } from '../../local/refusal.ts';
import { freePorts } from './free-ports.ts';
import { temporaryDir } from './temporary-dir.ts';

const HOST = '127.0.0.1';
const dir = temporaryDir();
const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

async function occupy(port: number): Promise<number> {
  const server = createServer();
  servers.push(server);
  server.listen(port, HOST);
  await once(server, 'listening');
  // A server on a TCP port always has an AddressInfo.
  return (server.address() as AddressInfo).port;
}

async function freeSettings() {
  const first = await freePorts(5);
  return { HOST, METRICS_HOST: HOST, RELAY_HOST: HOST, PORT: first, RELAY_PORT: first + 1, METRICS_PORT: first + 2 };
}

test('free ports are no reason to refuse', async () => {
  await checkPorts(await freeSettings());
});

test.each(['PORT', 'RELAY_PORT'] as const)('a port that is taken is named with its setting: %s', async (setting) => {
  const settings = await freeSettings();
  const port = await occupy(settings[setting]);
  await expect(checkPorts(settings)).rejects.toThrow(
    `Port ${port} of ${HOST} is used by another program. Stop that, or choose another port with ${setting}, as in "${setting}=`,
  );
});

test('the last of the three metrics ports counts too', async () => {
  const settings = await freeSettings();
  await occupy(settings.METRICS_PORT + 2);
  await expect(checkPorts(settings)).rejects.toThrow('choose another port with METRICS_PORT (it and the next two must be free)');
});

test('two settings that ask for one port are named', async () => {
  const settings = await freeSettings();
  await expect(checkPorts({ ...settings, PORT: settings.METRICS_PORT + 1 })).rejects.toThrow(
    'PORT and METRICS_PORT both ask for',
  );
});

test('an address that is not of this machine is a refusal, not a crash', async () => {
  await expect(checkPorts({ ...(await freeSettings()), HOST: '192.0.2.1' })).rejects.toThrow(Refusal);
});

test('a port is kept from start to start, and passed over when somebody else has it now', async () => {
  const first = await freePorts(3);
  const take = () => new KeptPorts(dir.path('ports.json')).take('temporal', first);
  expect(await take()).toBe(first);
  const occupied = await occupy(first);
  const next = await take();
  expect(next).toBeGreaterThan(occupied);
  servers.splice(0).forEach((server) => server.close());
  expect(await take()).toBe(next);
});

test('two parts never get the same port, and a broken file is only a lost choice', async () => {
  const first = await freePorts(3);
  await writeFile(dir.path('broken.json'), '{"temporal":');
  const ports = new KeptPorts(dir.path('broken.json'));
  const temporal = await ports.take('temporal', first);
  expect(await ports.take('temporalUi', first)).not.toBe(temporal);
});
