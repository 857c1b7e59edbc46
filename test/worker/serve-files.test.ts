import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { createLog } from '../../lib/log.ts';
import type { FilesPage, RuntimeFiles } from '../../runtime/driver-files.ts';
import { OPTIONS_HEADER, READ_HEADER } from '../../runtime/files-protocol.ts';
import { ProcessDriver } from '../../runtime/process/process-driver.ts';
import { workerTicket } from '../../runtime/worker-ticket.ts';
import { startInstanceServer } from '../../worker/serving/instance-server.ts';
import type { InstanceServer } from '../../worker/serving/instance-server.ts';
import { removeFolder } from '../support/remove-folder.ts';

const KEYS = [{ id: 'only', key: randomBytes(32) }];
const RUNTIME = 'run_of_this_test';
const FILES = `/runtimes/${RUNTIME}/agents/alpha/files`;
const LIST = `${FILES}?prefix=&after=&limit=10`;
const READ = { range: null, unless: null };
const WRITE = { onlyIf: null, maxBytes: 5 };

let dataDir: string;
let workspace: string;
let driver: ProcessDriver;
let server: InstanceServer;

beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'serve-files-'));
  driver = new ProcessDriver({ dataDir, relayUrl: 'http://127.0.0.1:9/v1', program: null });
  workspace = driver.paths(RUNTIME).workspaceOf('alpha');
  await mkdir(workspace, { recursive: true });
  await writeFile(join(workspace, 'a b.md'), 'hello');
  await serve(driver.files);
});
afterEach(async () => {
  await server.stop();
  await removeFolder(dataDir);
});

async function serve(files: RuntimeFiles): Promise<void> {
  await server?.stop();
  const { readState, inspect } = driver;
  const served = { files, logs: async () => [], readState, inspect };
  server = await startInstanceServer({ driver: served, masterKeys: KEYS, log: createLog('test', 'silent') });
}

interface Asked {
  method?: string;
  options?: object;
  body?: string;
  ticket?: { kind?: 'log' | 'files'; address?: string; subject?: string };
}

function ask(target: string, { method = 'GET', options = {}, body, ticket = {} }: Asked = {}): Promise<Response> {
  const proof = workerTicket(KEYS, { kind: 'files', address: server.address, subject: `${method} ${target}`, ...ticket });
  return fetch(`${server.address}${target}`, {
    method,
    headers: { authorization: `Bearer ${proof}`, [OPTIONS_HEADER]: JSON.stringify(options) },
    ...(body === undefined ? {} : { body }),
  });
}

describe('the server of files of a worker', () => {
  test('lists, reads, writes and removes', async () => {
    expect(await (await ask(LIST)).json()).toMatchObject({ files: [{ path: 'a b.md', size: 5 }], next: null });
    const read = await ask(`${FILES}/a%20b.md`, { options: { ...READ, range: { first: 1, last: 2 } } });
    expect(await read.text()).toBe('el');
    expect(JSON.parse(decodeURIComponent(read.headers.get(READ_HEADER) ?? ''))).toMatchObject({
      kind: 'content',
      from: 1,
      bytes: 2,
    });
    const written = await ask(`${FILES}/n/x`, { method: 'PUT', options: WRITE, body: 'mine' });
    expect(await written.json()).toMatchObject({ path: 'n/x', size: 4 });
    expect(await readFile(join(workspace, 'n/x'), 'utf8')).toBe('mine');
    const remove = () => ask(`${FILES}/n/x`, { method: 'DELETE' }).then((response) => response.json());
    expect([await remove(), await remove()]).toEqual([{ removed: true }, { removed: false }]);
  });

  test('tells what is refused by its name', async () => {
    const tooLarge = await ask(`${FILES}/x`, { method: 'PUT', options: WRITE, body: 'larger' });
    expect([tooLarge.status, await tooLarge.json()]).toMatchObject([409, { name: 'FileTooLargeError' }]);
    const changed = await ask(`${FILES}/x`, { method: 'PUT', options: { ...WRITE, onlyIf: '*' }, body: 'x' });
    expect([changed.status, await changed.json()]).toMatchObject([409, { name: 'FileChangedError' }]);
  });

  test.each<[what: string, ticket: NonNullable<Asked['ticket']>]>([
    ['a ticket for a log', { kind: 'log' }],
    ['a ticket for the log of the runtime', { kind: 'log', subject: RUNTIME }],
    ['a ticket for another server', { address: 'http://127.0.0.1:1' }],
    ['a ticket for another method', { subject: `PUT ${LIST}` }],
    ['a ticket for another runtime', { subject: `GET ${LIST.replace(RUNTIME, 'run_of_another')}` }],
    ['a ticket for another query', { subject: `GET ${LIST}0` }],
  ])('answers 401 to %s', async (_, ticket) => {
    const response = await ask(LIST, { ticket });
    expect([response.status, await response.text()]).toEqual([401, '']);
  });

  test.each<[method: string, target: string, options: object]>([
    ['GET', FILES, {}],
    ['GET', `${FILES}?prefix=&after=&limit=0`, {}],
    ['GET', `${FILES}?prefix=&after=&limit=1001`, {}],
    ['PUT', LIST, WRITE],
    ['POST', `${FILES}/x`, WRITE],
    ['GET', `${FILES}/x`, {}],
    ['PUT', `${FILES}/x`, { onlyIf: null }],
    ['GET', `${FILES}/..%2Fbeta%2Fx`, READ],
    ['GET', `${FILES}/%00`, READ],
    ['GET', `${FILES}/%FF`, READ],
    ['GET', `${FILES}/.openclaw/x`, READ],
    ['GET', `/runtimes/..%2F${RUNTIME}/agents/alpha/files/x`, READ],
    ['GET', `/runtimes/${RUNTIME}/agents/..%2Falpha/files/x`, READ],
    ['GET', `/runtimes/${RUNTIME}/agents/../files/x`, READ],
  ])('has nothing else: %s %s is 404', async (method, target, options) => {
    expect((await ask(target, { method, options, ...(method === 'GET' ? {} : { body: 'x' }) })).status).toBe(404);
  });

  test('works on four calls of a runtime at once and lets sixteen wait: one more is 503 with Retry-After', async () => {
    const begun: (() => void)[] = [];
    let most = 0;
    const list = () =>
      new Promise<FilesPage>((resolve) => {
        most = Math.max(
          most,
          begun.push(() => resolve({ files: [], next: null })),
        );
      });
    await serve({ ...driver.files, list });
    const asked = Array.from({ length: 21 }, () => ask(LIST));
    const first = await Promise.race(asked);
    expect([first.status, first.headers.get('retry-after')]).toEqual([503, '2']);
    expect(most).toBe(4);
    const finishing = setInterval(() => begun.splice(0).forEach((finish) => finish()), 1);
    const statuses = (await Promise.all(asked)).map(({ status }) => status);
    clearInterval(finishing);
    expect(statuses.filter((status) => status === 200)).toHaveLength(20);
  });

  test('writes one file of a runtime at a time', async () => {
    let [running, most] = [0, 0];
    await serve({
      ...driver.files,
      async write(place, path, content, options) {
        most = Math.max(most, (running += 1));
        const facts = await driver.files.write(place, path, content, options);
        running -= 1;
        return facts;
      },
    });
    const writes = Array.from({ length: 8 }, (_, n) => ask(`${FILES}/${n}`, { method: 'PUT', options: WRITE, body: 'x' }));
    expect((await Promise.all(writes)).map(({ status }) => status)).toEqual(Array(8).fill(200));
    expect(most).toBe(1);
  });

  test('cuts the connection of a read that fails in the middle, and goes on', async () => {
    await writeFile(join(workspace, 'large'), Buffer.alloc(16 * 1024 ** 2));
    const response = await ask(`${FILES}/large`, { options: READ });
    await response.body?.getReader().read();
    await writeFile(join(workspace, 'large'), 'short');
    const { body } = await ask(`${FILES}/large`, { options: READ });
    expect(body).not.toBeNull();
  });
});
