import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { promisify } from 'node:util';

/** Addresses beyond this machine, as a packet sees it: another host with a public, a private and the metadata address. */
export const OUTSIDE = { public: '203.0.113.9', private: '10.99.0.9', metadata: '169.254.169.254' } as const;
export const OUTSIDE_PORT = 8_080;

const NAME = 'thermidora-out';
const HERE = '203.0.113.8';
const SERVER = `require('net').createServer((s) => s.end('here')).listen(${OUTSIDE_PORT}, '0.0.0.0', () => console.log('up'))`;

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
