import { execFile } from 'node:child_process';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { explainingFiles } from '../../../api/operations/files/file.schema.ts';
import { InstanceDiskFullError } from '../../../runtime/driver.ts';
import { FileTooLargeError, FolderTooLargeError } from '../../../runtime/driver-files.ts';
import { layoutOf } from '../../../runtime/host/runtime-layout.ts';
import { eventually } from '../../support/eventually.ts';
import { createApiClient } from '../../support/api-client.ts';
import type { Json } from '../../support/api-client.ts';
import { startApi } from '../api-under-test.ts';
import type { AccountClient, ApiUnderTest } from '../api-under-test.ts';
import { newAgent, newInstance } from '../rows.ts';

const MEBIBYTE = 1024 ** 2;

let api: ApiUnderTest;
let account: AccountClient;
let of: { instanceId: string; agentId: string };
let agent: string;
let files: string;
/** The state directory of the instance, and the workspace in it. */
let state: string;
let workspace: string;

beforeAll(async () => {
  api = await startApi({ env: { MAX_INSTANCES_PER_ACCOUNT: '1000' } });
  account = await api.newAccount();
});
afterAll(() => api.close());
beforeEach(async () => {
  const instanceId = await newInstance(account);
  of = { instanceId, agentId: await newAgent(account, instanceId) };
  agent = `/instances/${of.instanceId}/agents/${of.agentId}`;
  files = `${agent}/files`;
  const [row] = await api.sql<{ runtime: string; name: string }>(
    `select runtime_id as runtime, gateway_agent_id as name from agents join instances i on i.id = instance_id where agents.id = ?`,
    [of.agentId],
  );
  state = layoutOf(api.dataDir, row?.runtime ?? '').stateDir;
  workspace = join(state, 'workspaces', row?.name ?? '');
  await mkdir(workspace, { recursive: true });
  await givenToGateway();
});

/** As when the gateway has been given all files. */
async function givenToGateway(): Promise<void> {
  await api.sql('delete from agent_files where agent_id = ? and content is null returning path', [of.agentId]);
  const rows = await api.sql<{ path: string; content: string }>(
    'update agent_files set applied = true where agent_id = ? returning path, content',
    [of.agentId],
  );
  for (const { path, content } of rows) await writeFile(join(workspace, path), content);
}

type Sent = { headers?: Record<string, string>; body?: string | Buffer | ReadableStream | null };

function send(method: string, path: string, { headers = {}, body = null }: Sent = {}): Promise<Response> {
  return fetch(`${api.url}/v1${files}${path}`, {
    method,
    body,
    headers: { authorization: `Bearer ${account.token}`, ...headers },
    ...(body instanceof ReadableStream ? { duplex: 'half' } : {}),
  });
}
async function put(path: string, body: string | Buffer | ReadableStream, headers: Record<string, string> = {}) {
  const response = await send('PUT', path, { body, headers });
  const answer: Json = await response.json();
  return { status: response.status, body: answer };
}
const codeOf = async (sent: Promise<Response>) => {
  const response = await sent;
  const answer: Json = await response.json();
  return [response.status, answer.error?.code];
};
const pathsOf = async (query = '') =>
  (await account.ok('GET', `${files}${query}`)).files.map(({ path }: { path: string }) => path);
const refusalOf = (error: Error) => explainingFiles(() => Promise.reject(error)).catch(({ code, reason }) => [code, reason]);
const auditOf = async () =>
  api.sql('select action, target, instance_id from audit_entries where action like ? order by at', ['files.%']);

test('what the files of a runtime refuse is an error with a code', async () => {
  expect(await refusalOf(new FolderTooLargeError('x'))).toEqual(['conflict', undefined]);
  expect(await refusalOf(new InstanceDiskFullError('x'))).toEqual(['payload_too_large', 'disk_full']);
  expect(await refusalOf(new FileTooLargeError('x'))).toEqual(['payload_too_large', undefined]);
});

describe('files.list', () => {
  test('shows the files of the workspace in the order of their paths, in pages', async () => {
    await promisify(execFile)('bash', ['-ec', 'rm *; mkdir -p a/b; echo hi >a/b/c.PDF; touch a.md a/z; ln -s /etc/passwd link'], {
      cwd: workspace,
    });
    const all = await account.ok('GET', files);
    expect(all).toEqual({
      files: [
        { path: 'a.md', size: 0, modifiedAt: expect.stringMatching(/^\d{4}-.*Z$/), mediaType: 'text/markdown' },
        { path: 'a/b/c.PDF', size: 3, modifiedAt: expect.any(String), mediaType: 'application/pdf' },
        { path: 'a/z', size: 0, modifiedAt: expect.any(String), mediaType: 'application/octet-stream' },
      ],
      nextCursor: null,
    });
    const { files: first, nextCursor } = await account.ok('GET', `${files}?limit=2`);
    expect(first).toEqual(all.files.slice(0, 2));
    expect(await account.ok('GET', `${files}?limit=2&cursor=${nextCursor}`)).toEqual({
      files: all.files.slice(2),
      nextCursor: null,
    });
    expect(await pathsOf('?prefix=a%2Fb')).toEqual(['a/b/c.PDF']);
  });

  test('shows what the gateway has yet to be given or to remove as it will be', async () => {
    await account.ok('PATCH', agent, { files: { 'a.md': 'given', 'SOUL.md': null, 'z.md': 'Ü' } });
    const { files: listed } = await account.ok('GET', files);
    const named = new Map(listed.map((file: { path: string }) => [file.path, file]));
    expect([...named.keys()]).toEqual(['AGENTS.md', 'IDENTITY.md', 'USER.md', 'a.md', 'z.md']);
    expect(named.get('z.md')).toMatchObject({ size: 2 });
    const found: string[] = [];
    for (let cursor: string | null = ''; cursor !== null;) {
      const page = await account.ok('GET', `${files}?limit=2${cursor && `&cursor=${cursor}`}`);
      expect(page.files.length).toBeLessThanOrEqual(2);
      found.push(...page.files.map(({ path }: { path: string }) => path));
      cursor = page.nextCursor;
    }
    expect(found).toEqual([...named.keys()]);
  });

  test('shows nothing before the first start but what is to be given', async () => {
    await rm(join(state, '..'), { recursive: true });
    expect(await pathsOf()).toEqual([]);
    await account.ok('PATCH', agent, { files: { 'a.md': 'given' } });
    expect(await pathsOf()).toEqual(['a.md']);
  });
});

describe('files.get', () => {
  test('answers the bytes with their headers', async () => {
    await mkdir(join(workspace, 'out'));
    await writeFile(join(workspace, "out/Ü (1)'.csv"), 'a,b\n');
    const response = await send('GET', `/out/${encodeURIComponent("Ü (1)'.csv")}`);
    expect([response.status, await response.text()]).toEqual([200, 'a,b\n']);
    expect(Object.fromEntries(response.headers)).toMatchObject({
      'content-type': 'text/csv',
      'content-length': '4',
      etag: expect.stringMatching(/^"[^"]+"$/),
      'last-modified': expect.stringMatching(/GMT$/),
      'accept-ranges': 'bytes',
      'content-disposition': "attachment; filename*=UTF-8''%C3%9C%20%281%29%27.csv",
      'x-content-type-options': 'nosniff',
      'x-request-id': expect.any(String),
      'ratelimit-limit': expect.any(String),
    });
    const head = await send('HEAD', '/out%2F%C3%9C%20(1)%27.csv');
    expect([head.status, head.headers.get('content-length'), await head.text()]).toEqual([200, '4', '']);
    expect(head.headers.get('etag')).toBe(response.headers.get('etag'));
  });

  test.each([
    ['bytes=0-1', 206, '01', 'bytes 0-1/10'],
    ['bytes=8-', 206, '89', 'bytes 8-9/10'],
    ['bytes=-3', 206, '789', 'bytes 7-9/10'],
    ['bytes=5-99', 206, '56789', 'bytes 5-9/10'],
    ['bytes=-99', 206, '0123456789', 'bytes 0-9/10'],
    ['bytes=0-1,4-5', 200, '0123456789', null],
    ['bytes=5-4', 200, '0123456789', null],
    ['bytes=-', 200, '0123456789', null],
    ['lines=0-1', 200, '0123456789', null],
  ])('answers Range %s with %d', async (range, status, text, contentRange) => {
    await writeFile(join(workspace, 'ten'), '0123456789');
    const response = await send('GET', '/ten', { headers: { range } });
    expect([response.status, await response.text()]).toEqual([status, text]);
    expect([response.headers.get('content-range'), response.headers.get('content-length')]).toEqual([
      contentRange,
      String(text.length),
    ]);
  });

  test.each(['bytes=10-', 'bytes=99-100', 'bytes=-0'])('answers Range %s with 416', async (range) => {
    await writeFile(join(workspace, 'ten'), '0123456789');
    expect(await codeOf(send('GET', '/ten', { headers: { range } }))).toEqual([416, 'range_not_satisfiable']);
  });

  test('answers 304 to who has the file already, and the whole where If-Range names another state', async () => {
    await writeFile(join(workspace, 'ten'), '0123456789');
    const etag = (await send('HEAD', '/ten')).headers.get('etag') ?? '';
    for (const given of [etag, `W/${etag}`, `"other", ${etag}`, '*']) {
      const response = await send('GET', '/ten', { headers: { 'if-none-match': given } });
      expect([given, response.status, response.headers.get('etag'), await response.text()]).toEqual([given, 304, etag, '']);
    }
    expect((await send('GET', '/ten', { headers: { 'if-none-match': '"other"' } })).status).toBe(200);
    const part = (ifRange: string) => send('GET', '/ten', { headers: { range: 'bytes=0-1', 'if-range': ifRange } });
    expect([(await part(etag)).status, (await part('"other"')).status]).toEqual([206, 200]);
    await writeFile(join(workspace, 'ten'), '0123456780');
    expect((await send('GET', '/ten', { headers: { 'if-none-match': etag } })).status).toBe(200);
    expect((await part(etag)).status).toBe(200);
  });

  test('cuts the connection of a file that is changed while it is sent', async () => {
    await writeFile(join(workspace, 'large'), Buffer.alloc(16 * MEBIBYTE, 'a'));
    const response = await send('GET', '/large');
    const reader = response.body?.getReader();
    await reader?.read();
    await writeFile(join(workspace, 'large'), Buffer.alloc(16 * MEBIBYTE, 'b'));
    const rest = async () => {
      while (!(await reader?.read())?.done);
    };
    await expect(rest()).rejects.toThrow('terminated');
  });

  test('shows a file that the gateway has yet to be given as it was given', async () => {
    await account.ok('PATCH', agent, { files: { 'SOUL.md': 'pending', 'AGENTS.md': null } });
    const response = await send('GET', '/SOUL.md', { headers: { range: 'bytes=1-3' } });
    expect([response.status, await response.text()]).toEqual([206, 'end']);
    const etag = response.headers.get('etag') ?? '';
    expect((await send('GET', '/SOUL.md', { headers: { 'if-none-match': etag } })).status).toBe(304);
    expect(await codeOf(send('GET', '/AGENTS.md'))).toEqual([404, 'not_found']);
  });

  test.each([
    ['/none.md', 404],
    ['/link.md', 404],
    ['/folder', 404],
    ['/pipe', 404],
    ['/.openclaw/x', 400],
    ['/..%2F..%2Fopenclaw.json', 400],
    ['/%2Fetc%2Fpasswd', 400],
    ['/a%00b', 400],
    ['/a%5Cb', 400],
    [`/${'d/'.repeat(65)}f`, 400],
    [`/${'x'.repeat(256)}`, 400],
    ['/%FF', 404],
  ])('%s is %d', async (path, status) => {
    await promisify(execFile)('bash', ['-ec', 'ln -s /etc/passwd link.md; mkdir folder; mkfifo pipe'], { cwd: workspace });
    expect((await codeOf(send('GET', path)))[0]).toBe(status);
    expect((await codeOf(send('DELETE', path)))[0]).toBe(status);
  });
});

describe('files.put', () => {
  test('writes the bytes and says what they are; the audit names the agent', async () => {
    const before = (await auditOf()).length;
    const bytes = Buffer.from([0, 255, 1, 254]);
    const { status, body } = await put('/out/a.bin', bytes);
    expect([status, body]).toEqual([200, { path: 'out/a.bin', size: 4, modifiedAt: expect.stringMatching(/Z$/) }]);
    expect(await readFile(join(workspace, 'out/a.bin'))).toEqual(bytes);
    expect((await put('/out/a.bin', 'again')).body.size).toBe(5);
    const line = { action: 'files.put', target: of.agentId, instance_id: of.instanceId };
    expect((await auditOf()).slice(before)).toEqual([line, line]);
  });

  test('takes 25 MiB and not a byte more, announced or not, and keeps nothing of what it refuses', async () => {
    const limit = 25 * MEBIBYTE;
    expect((await put('/large', Buffer.alloc(limit))).body.size).toBe(limit);
    const chunks = (count: number) => {
      let left = count;
      return new ReadableStream({
        pull: (sink) => (left-- > 0 ? sink.enqueue(Buffer.alloc(MEBIBYTE, 'x')) : sink.close()),
      });
    };
    expect(await put('/large', Buffer.alloc(limit + 1))).toMatchObject({
      status: 413,
      body: { error: { code: 'payload_too_large' } },
    });
    expect(await put('/large', chunks(26))).toMatchObject({ status: 413, body: { error: { code: 'payload_too_large' } } });
    expect((await put('/streamed', chunks(25))).body.size).toBe(limit);
    expect((await readFile(join(workspace, 'large'))).equals(Buffer.alloc(limit))).toBe(true);
    expect(await readdir(join(state, 'uploads'))).toEqual([]);
  });

  test('replaces a file only in the state that If-Match names: one of two who saw the same state wins', async () => {
    expect(await put('/race', 'x', { 'if-match': '*' })).toMatchObject({
      status: 412,
      body: { error: { code: 'precondition_failed' } },
    });
    await put('/race', 'first');
    const etag = (await send('HEAD', '/race')).headers.get('etag') ?? '';
    expect((await put('/race', 'x', { 'if-match': '"other"' })).status).toBe(412);
    expect((await put('/race', 'x', { 'if-match': `W/${etag}` })).status).toBe(412);
    expect((await put('/race', 'second', { 'if-match': `"other", ${etag}` })).status).toBe(200);
    expect((await put('/race', 'third', { 'if-match': etag })).status).toBe(412);
    expect(await readFile(join(workspace, 'race'), 'utf8')).toBe('second');
  });

  test('of a client that goes away in the middle leaves the file as it was', async () => {
    await put('/kept', 'kept');
    const socket = connect(Number(new URL(api.url).port), '127.0.0.1');
    socket.write(
      `PUT /v1${files}/kept HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${account.token}\r\nContent-Length: 100000\r\n\r\n${'x'.repeat(50_000)}`,
    );
    await eventually(async () => expect(await readdir(join(state, 'uploads'))).toHaveLength(1));
    socket.destroy();
    await eventually(async () => expect(await readdir(join(state, 'uploads'))).toEqual([]));
    expect(await readFile(join(workspace, 'kept'), 'utf8')).toBe('kept');
  });

  test('of a file of the prompt does what PATCH of files does, and one of those who saw the same state wins', async () => {
    const { status, body } = await put('/SOUL.md', 'Be kind. Ü');
    expect([status, body]).toEqual([200, { path: 'SOUL.md', size: 11, modifiedAt: expect.any(String) }]);
    expect((await account.ok('GET', agent)).files['SOUL.md']).toBe('Be kind. Ü');
    expect(await (await send('GET', '/SOUL.md')).text()).toBe('Be kind. Ü');
    const etag = (await send('HEAD', '/SOUL.md')).headers.get('etag') ?? '';
    expect((await put('/SOUL.md', 'x', { 'if-match': '"other"' })).status).toBe(412);
    expect((await put('/SOUL.md', 'second', { 'if-match': etag })).status).toBe(200);
    await givenToGateway();
    const applied = (await send('HEAD', '/SOUL.md')).headers.get('etag') ?? '';
    expect((await put('/SOUL.md', 'x', { 'if-match': etag })).status).toBe(412);
    const answers = await Promise.all(['a', 'b', 'c'].map((text) => put('/SOUL.md', text, { 'if-match': applied })));
    expect(answers.map((answer) => answer.status).toSorted((one, other) => one - other)).toEqual([200, 412, 412]);
  });

  test.each<[what: string, body: Buffer]>([
    ['no UTF-8', Buffer.from([0xff])],
    ['NUL', Buffer.from('a\0b')],
    ['262,145 bytes', Buffer.alloc(262_145, 'x')],
  ])('of a file of the prompt with %s is 400', async (_, body) => {
    expect(await put('/SOUL.md', body)).toMatchObject({ status: 400, body: { error: { details: [{ path: 'body' }] } } });
    expect(await put('/USER.md', 'x'.repeat(100_000))).toMatchObject({ status: 400 });
  });

  test('of a file that the agent was given before is what is shown from then on, and nothing older comes back', async () => {
    await account.ok('PATCH', agent, { files: { 'notes.md': 'given', 'gone.md': 'given' } });
    await put('/notes.md', 'put');
    await put('/gone.md', Buffer.from([0]));
    expect((await account.ok('GET', agent)).files).toMatchObject({ 'notes.md': 'put' });
    expect((await account.ok('GET', agent)).files).not.toHaveProperty(['gone.md']);
    const left = await api.sql('select path, applied from agent_files where agent_id = ? and path like ?', [
      of.agentId,
      '%e%.md',
    ]);
    expect(left).toEqual([{ path: 'notes.md', applied: true }]);
    await account.ok('PATCH', agent, { files: { 'notes.md': null } });
    await put('/notes.md', 'once more');
    expect(await (await send('GET', '/notes.md')).text()).toBe('once more');
  });

  test('with an Idempotency-Key is done once: the same again is replayed, another body is 409', async () => {
    const key = { 'idempotency-key': 'put-once' };
    const first = await put('/once', 'first', key);
    await put('/once', 'meanwhile');
    const again = await send('PUT', '/once', { body: 'first', headers: key });
    expect([again.status, again.headers.get('idempotent-replayed'), await again.json()]).toEqual([200, 'true', first.body]);
    expect(await put('/once', 'other', key)).toMatchObject({ status: 409 });
    expect(await readFile(join(workspace, 'once'), 'utf8')).toBe('meanwhile');
  });

  test('is refused where a folder or a link stands in its way, before a first start, and while the instance is deleted', async () => {
    await promisify(execFile)('bash', ['-ec', 'mkdir folder; ln -s / out'], { cwd: workspace });
    for (const path of ['/folder', '/out/x', '/SOUL.md/x'])
      expect([path, await put(path, 'x')]).toMatchObject([path, { status: 409, body: { error: { code: 'conflict' } } }]);
    expect(await put('/a', 'x', { 'content-encoding': 'gzip' })).toMatchObject({ status: 415 });
    await rm(join(state, '..'), { recursive: true });
    expect(await put('/a', 'x')).toMatchObject({ status: 503, body: { error: { code: 'instance_not_ready' } } });
    await account.ok('DELETE', `/instances/${of.instanceId}`);
    expect(await put('/a', 'x')).toMatchObject({ status: 409 });
  });

  test('needs the scope write, reading needs read, and a key of another instance finds nothing', async () => {
    const other = await newInstance(account);
    const statuses = async (limits: object) => {
      const { apiKey } = await account.ok('POST', '/auth/keys', { name: 'k', ...limits });
      const headers = { 'x-api-key': apiKey };
      const client = createApiClient(api.url, headers);
      const [list, get, write, remove] = [
        await client.call('GET', files),
        await client.raw('GET', `${files}/AGENTS.md`),
        await fetch(`${api.url}/v1${files}/k`, { method: 'PUT', body: 'x', headers }),
        await client.call('DELETE', `${files}/k`),
      ];
      return [list, get, write, remove].map(({ status }) => status);
    };
    expect(await statuses({ scopes: ['read'] })).toEqual([200, 200, 403, 403]);
    expect(await statuses({ scopes: ['write'] })).toEqual([403, 403, 200, 200]);
    expect(await statuses({ instanceId: of.instanceId })).toEqual([200, 200, 200, 200]);
    expect(await statuses({ instanceId: other })).toEqual([404, 404, 404, 404]);
  });
});

describe('files.delete', () => {
  test('removes the file, and its like from what the agent is shown with', async () => {
    await account.ok('PATCH', agent, { files: { 'notes.md': 'given' } });
    await givenToGateway();
    expect(await account.ok('DELETE', `${files}/notes.md`)).toEqual({ path: 'notes.md', deleted: true });
    expect(await readdir(workspace)).not.toContain('notes.md');
    expect((await account.ok('GET', agent)).files).not.toHaveProperty(['notes.md']);
    expect(await account.call('DELETE', `${files}/notes.md`)).toMatchObject({ status: 404 });
    expect((await auditOf()).at(-1)).toEqual({ action: 'files.delete', target: of.agentId, instance_id: of.instanceId });
  });

  test('of a file of the prompt does what PATCH of files with null does', async () => {
    expect(await account.ok('DELETE', `${files}/SOUL.md`)).toEqual({ path: 'SOUL.md', deleted: true });
    expect(await pathsOf('?prefix=S')).toEqual([]);
    expect((await account.ok('GET', agent)).files).not.toHaveProperty(['SOUL.md']);
    expect(await account.call('DELETE', `${files}/SOUL.md`)).toMatchObject({ status: 404 });
    expect(await account.call('DELETE', `${files}/BOOTSTRAP.md`)).toMatchObject({ status: 404 });
  });
});
