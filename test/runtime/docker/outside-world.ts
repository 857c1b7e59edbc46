import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { promisify } from 'node:util';

/** Addresses beyond this machine, as a packet sees it: another host with a public, a private and the metadata address. */
export const OUTSIDE = { public: '203.0.113.9', private: '10.99.0.9', metadata: '169.254.169.254' } as const;
export const OUTSIDE_PORT = 8_080;
/** It listens there too. */
export const MAIL_PORTS = [25, 465, 587] as const;

const NAME = 'thermidora-out';
const HERE = '203.0.113.8';
/** Connections stay open for as long as the other side wants; datagrams are sent back. */
const SERVER = `
  const { createServer } = require('net');
  const ports = ${JSON.stringify([OUTSIDE_PORT, ...MAIL_PORTS])};
  const servers = ports.map((port) => createServer((s) => s.on('error', () => {}).write('here')).listen(port, '0.0.0.0'));
  const echo = require('dgram').createSocket('udp4').on('message', (text, { port, address }) => echo.send(text, port, address));
  const up = [...servers, echo.bind(${OUTSIDE_PORT})].map((s) => new Promise((done) => s.once('listening', done)));
  Promise.all(up).then(() => console.log('up'));`;

/** Puts another host beside this machine: a network namespace behind a cable. Needs root. Returns what removes it. */
export async function openOutsideWorld(): Promise<() => Promise<void>> {
  await closeOutsideWorld();
  await ip('netns', 'add', NAME);
  await ip('link', 'add', 'thout0', 'type', 'veth', 'peer', 'name', 'thout1', 'netns', NAME);
  await ip('addr', 'add', `${HERE}/32`, 'dev', 'thout0');
  await ip('link', 'set', 'thout0', 'up');
  for (const address of Object.values(OUTSIDE)) {
    await ip('-n', NAME, 'addr', 'add', `${address}/32`, 'dev', 'thout1');
    await ip('route', 'replace', `${address}/32`, 'dev', 'thout0', 'src', HERE);
  }
  await ip('-n', NAME, 'link', 'set', 'thout1', 'up');
  await ip('-n', NAME, 'link', 'set', 'lo', 'up');
  await ip('-n', NAME, 'route', 'add', `${HERE}/32`, 'dev', 'thout1');
  const server = spawn('ip', ['netns', 'exec', NAME, process.execPath, '-e', SERVER], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(server.stdout, 'data');
  return async () => {
    server.kill('SIGKILL');
    await closeOutsideWorld();
  };
}

async function closeOutsideWorld(): Promise<void> {
  await ip('link', 'del', 'thout0').catch(() => {});
  await ip('netns', 'del', NAME).catch(() => {});
}

async function ip(...words: string[]): Promise<void> {
  await promisify(execFile)('ip', words);
}
