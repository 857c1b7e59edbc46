import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { createGunzip } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { extract } from 'tar-stream';
import { AppError } from '../../../domain/errors.ts';
import { layoutOf } from '../../../runtime/host/runtime-layout.ts';
import { createApiClient } from '../../support/api-client.ts';
import type { ApiClient } from '../../support/api-client.ts';
import { eventually } from '../../support/eventually.ts';
import { startApi } from '../api-under-test.ts';
import type { AccountClient, ApiUnderTest } from '../api-under-test.ts';
import { makeRunning, newAgent, newInstance, newTurn } from '../rows.ts';

let api: ApiUnderTest;
let account: AccountClient;
let of: { instanceId: string; agentId: string };
let workspace: string;
const secret = 'the-value-of-a-secret';

beforeAll(async () => {
  api = await startApi();
  account = await api.newAccount();
  const instanceId = await newInstance(account, 'mine');
  of = { instanceId, agentId: await newAgent(account, instanceId, 'helper') };
  await account.ok('POST', `/instances/${instanceId}/secrets`, { secrets: { TOKEN: secret } });
  await account.ok('POST', '/webhooks', { url: 'https://203.0.112.1/', events: ['*'] });
  const [row] = await api.sql<{ runtime: string; name: string }>(
    'select runtime_id as runtime, gateway_agent_id as name from agents join instances i on i.id = instance_id where agents.id = ?',
    [of.agentId],
  );
  workspace = join(layoutOf(api.dataDir, row?.runtime ?? '').stateDir, 'workspaces', row?.name ?? '');
  await mkdir(join(workspace, 'notes'), { recursive: true });
  await writeFile(join(workspace, 'notes', 'today.md'), 'a note');
  await makeRunning(api, instanceId);
  for (let turn = 0; turn < 130; turn += 1) await newTurn(api, of, { text: `said ${turn}`, sessionId: `s${turn % 10}` });
});
afterAll(() => api.close());

/** The archive's files by their path, in their order. */
async function exportOf(client: ApiClient): Promise<Map<string, string>> {
  const response = await client.raw('GET', '/account/export');
  expect([response.status, response.headers.get('content-type')]).toEqual([200, 'application/gzip']);
  return unpack(response);
}

async function unpack({ body }: Response): Promise<Map<string, string>> {
  if (!body) throw new Error('The answer has no body');
  const entries = extract();
  Readable.fromWeb(body)
    .on('error', (error) => entries.destroy(error))
    .pipe(createGunzip())
    .on('error', (error) => entries.destroy(error))
    .pipe(entries);
  const found = new Map<string, string>();
  for await (const entry of entries) found.set(entry.header.name, await text(entry));
  return found;
}

const linesOf = (content = '') =>
  content
    .split('\n')
    .filter(Boolean)
    .map((line): unknown => JSON.parse(line));

describe('account.export', () => {
  test('holds what the calls of the account show, every page of it, and the files of its agents', async () => {
    const files = await exportOf(account);
    const folder = `instances/${of.instanceId}`;
    expect(JSON.parse(files.get('account.json') ?? '')).toEqual(await account.ok('GET', '/auth/me'));
    expect(linesOf(files.get('instances.jsonl'))).toEqual((await account.ok('GET', '/instances')).instances);
    expect(linesOf(files.get('webhooks.jsonl'))).toEqual((await account.ok('GET', '/webhooks')).webhooks);
    expect(linesOf(files.get('ledger.jsonl'))).toEqual((await account.ok('GET', '/billing/ledger')).entries);
    expect(linesOf(files.get(`${folder}/agents.jsonl`))).toMatchObject([{ agentId: of.agentId, slug: 'helper' }]);
    expect(linesOf(files.get(`${folder}/secrets.jsonl`))).toMatchObject([{ key: 'TOKEN' }]);
    const said = ['messages.jsonl', 'messages.2.jsonl'].map((name) => linesOf(files.get(`${folder}/agents/helper/${name}`)));
    expect(said.map(({ length }) => length)).toEqual([200, 60]);
    expect(new Set(said.flat().map((message) => JSON.stringify(message))).size).toBe(260);
    expect(files.get(`${folder}/agents/helper/files/notes/today.md`)).toBe('a note');
    expect(files.has(`${folder}/agents/helper/files/AGENTS.md`)).toBe(true);
  });

  test('holds no value of a secret, no key and nothing of another account', async () => {
    const { apiKey } = await account.ok('POST', '/auth/keys', { name: 'mine' });
    const other = await api.newAccount();
    const otherInstance = await newInstance(other, 'not yours');
    const whole = JSON.stringify([...(await exportOf(createApiClient(api.url, { 'x-api-key': apiKey })))]);
    for (const hidden of [secret, apiKey, account.token, other.email, otherInstance]) expect(whole).not.toContain(hidden);
    const [webhook] = await api.sql<{ secret: string }>('select secret from webhooks');
    expect(whole).not.toContain(webhook?.secret);
  });

  test('says where the files of an agent cannot be read, and goes on', async () => {
    const { files } = api.deps;
    const list = files.list;
    files.list = () => Promise.reject(new AppError('unavailable', 'No worker is there.'));
    try {
      const found = await exportOf(account);
      const missing = found.get(`instances/${of.instanceId}/agents/helper/files-missing.txt`);
      expect(missing).toContain('No worker is there.');
    } finally {
      files.list = list;
    }
  });

  test('is cut off, and never taken for whole, when a file breaks off', async () => {
    const { files } = api.deps;
    const read = files.read;
    files.read = async (...given) => {
      const found = await read(...given);
      if (found.kind !== 'content') return found;
      found.content.destroy();
      return { ...found, content: Readable.from([Buffer.from('a')], { objectMode: false }) };
    };
    try {
      const response = await account.raw('GET', '/account/export');
      await expect(unpack(response)).rejects.toThrow();
    } finally {
      files.read = read;
    }
    expect((await exportOf(account)).size).toBeGreaterThan(5);
  });

  test('runs once at a time for an account, and a client that goes away frees the place', async () => {
    const { files } = api.deps;
    const list = files.list;
    const entered = Promise.withResolvers<void>();
    files.list = (_place, options) => {
      entered.resolve();
      return new Promise((_resolve, reject) => options.signal.addEventListener('abort', () => reject(options.signal.reason)));
    };
    const gone = new AbortController();
    try {
      const first = account.raw('GET', '/account/export', undefined, gone.signal).then((response) => response.arrayBuffer());
      first.catch(() => undefined);
      await entered.promise;
      const second = await account.call('GET', '/account/export');
      expect([second.status, second.headers.get('retry-after')]).toEqual([429, '60']);
      const other = await api.newAccount();
      expect((await exportOf(other)).has('account.json')).toBe(true);
      gone.abort();
      await expect(first).rejects.toThrow();
    } finally {
      files.list = list;
    }
    await eventually(async () => expect((await exportOf(account)).has('account.json')).toBe(true));
  });

  test('is refused to a key with limits', async () => {
    const { apiKey } = await account.ok('POST', '/auth/keys', { name: 'reader', scopes: ['read'] });
    expect((await createApiClient(api.url, { 'x-api-key': apiKey }).call('GET', '/account/export')).status).toBe(403);
  });
});
