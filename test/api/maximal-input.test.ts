import { randomBytes } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Client } from 'pg';
import { z } from 'zod';
import type { Operation } from '../../api/contract/define-operation.ts';
import { operations } from '../../api/operations/index.ts';
import type { ApiClient } from '../support/api-client.ts';
import { eventually } from '../support/eventually.ts';
import { tooDear } from '../support/event-loop-stand.ts';
import { largestBodies } from '../support/largest-bodies.ts';
import { registerAccount } from '../support/register-account.ts';
import { residentMiB } from '../support/resident-memory.ts';
import { OPERATOR_TOKEN } from './api-under-test.ts';
import { startApiProcess } from './api-process.ts';
import type { ApiProcess } from './api-process.ts';
import { newAgent, newInstance } from './rows.ts';

const GROWTH_MIB = 100;
const KIBIBYTE = 1024;
const LONG_MS = 600_000;

let api: ApiProcess;
let account: ApiClient & { accountId: string };
let ids: Record<string, string>;
let logFile: string;
let residentBefore: number;

beforeAll(async () => {
  api = await startApiProcess({ MAX_INSTANCES_PER_ACCOUNT: '1000' });
  account = await registerAccount(api.url, api.operator);
  const instanceId = await newInstance(account);
  ids = { instanceId, agentId: await newAgent(account, instanceId) };
  const client = new Client({ connectionString: api.database.url });
  await client.connect();
  const { rows } = await client.query('select runtime_id from instances where id = $1', [instanceId]);
  await client.end();
  const folder = join(api.dataDir, 'runtimes', z.object({ runtime_id: z.string() }).parse(rows[0]).runtime_id);
  await mkdir(folder, { recursive: true });
  logFile = join(folder, 'output.log');
  await account.ok('GET', '/skills');
  residentBefore = await residentMiB(api.pid);
});

afterAll(() => api.end());

async function send({ auth, method, path }: Operation, body: string | null, query = ''): Promise<void> {
  const concrete = path.replaceAll(/:(\w+)/g, (_match, name: string) => ids[name] ?? `${name.slice(0, 3)}_nothingnothing00`);
  const { apiKey } = await keyOf();
  const response = await fetch(`${api.url}/v1${concrete}${query}`, {
    method,
    headers: {
      ...(auth === 'operator' ? { authorization: `Bearer ${OPERATOR_TOKEN}` } : { 'x-api-key': apiKey }),
      ...(body === null ? {} : { 'content-type': 'application/json' }),
    },
    body,
  });
  await response.arrayBuffer();
  expect([concrete, response.status === 500]).toEqual([concrete, false]);
}

let known: Promise<{ apiKey: string }> | undefined;
const keyOf = () => (known ??= account.ok('POST', '/auth/keys', { name: 'raw' }));

const named = (list: readonly Operation[]) => list.map((operation) => [operation.operationId, operation] as const);
const MAXIMAL_QUERY = `?limit=1000000&cursor=${'x'.repeat(2_000)}&status=${'x'.repeat(2_000)}&${'a=1&'.repeat(1_000)}`;

test.each(named(operations.filter(({ body, operationId }) => body && operationId !== 'auth.logout')))(
  '%s with the largest bodies keeps nobody waiting',
  async (_id, operation) => {
    const bodies = [...largestBodies(operation)];
    expect(await tooDear(api, new Map(bodies.map(([name, body]) => [name, () => send(operation, body)])))).toEqual({});
  },
  LONG_MS,
);

const lines = (count: number, line: (index: number) => string) => Array.from({ length: count }, (_none, index) => line(index));
const random = (length: number) => randomBytes(length).toString('base64').slice(0, length);
const filesOf = (count: number, bytes: number) =>
  Object.fromEntries(lines(count, (index) => `f${index}.md`).map((path) => [path, random(bytes)]));

const FRONT_MATTERS = {
  fields: lines(2_300, (index) => `k${index}: 1`).join('\n'),
  anchors: lines(1_000, (index) => `a${index}: &a${index} x`).join('\n'),
  aliases: `a: &a x\n${lines(2_000, (index) => `b${index}: *a`).join('\n')}`,
  quotes: `a: ${'"'.repeat(16_000)}`,
  lists: `a: ${'['.repeat(8_000)}${']'.repeat(8_000)}`,
  objects: `a: ${'{a: '.repeat(4_000)}`,
  long: 'k: 1\n'.repeat(40_000),
};

test(
  'skills, files, messages and their lists at what is allowed keep nobody waiting',
  async () => {
    const { instanceId, agentId } = ids;
    const path = `/instances/${instanceId}`;
    const skill =
      (manifest: string, files: object = {}) =>
      () =>
        account.call('POST', `${path}/skills`, {
          name: `s-${randomBytes(6).toString('hex')}`,
          files: { 'SKILL.md': manifest, ...files },
        });
    const calls = new Map<string, () => Promise<unknown>>([
      ...Object.entries(FRONT_MATTERS).map(
        ([name, front]) => [`a SKILL.md of many ${name}`, skill(`---\n${front}\n---\n`)] as const,
      ),
      ['a skill of 256 files and 5 MiB', skill('# Large', filesOf(255, 20 * KIBIBYTE))],
      ['64 files of 1 MiB', () => account.call('PATCH', `${path}/agents/${agentId}`, { files: filesOf(64, 15 * KIBIBYTE) })],
      ['a message', () => account.call('POST', `${path}/agents/${agentId}/messages`, { message: 'x '.repeat(128 * KIBIBYTE) })],
    ]);
    expect(await tooDear(api, calls)).toEqual({});
  },
  LONG_MS,
);

/** Secrets whose masking takes long, with a log that they nearly fit. One MiB in all is stored. */
const LOGS: [string, string[], string][] = [
  ['many equal lines', lines(15, () => 'aaaa\n'.repeat(13_000)), 'aaaa aaaa\n'.repeat(26_000)],
  ['many different lines', lines(15, () => lines(1_000, () => random(64)).join('\n')), `${random(256)}\n`.repeat(1_000)],
  ['too many lines', lines(15, () => lines(7_000, () => random(8)).join('\n')), `${random(256)}\n`.repeat(1_000)],
  ['nearly equal values', lines(15, (index) => `${'a'.repeat(64_000)}${index}`), 'a'.repeat(262_000)],
  ['many nearly equal values', lines(100, (index) => `${'a'.repeat(200)}${index}`), `${'a'.repeat(1_000)}\n`.repeat(262)],
  ['equal beginnings', lines(15, () => lines(1_300, () => `password${random(40)}`).join('\n')), 'password\n'.repeat(29_000)],
];

test.each(LOGS)(
  'a log is shown or refused without keeping anybody waiting: %s',
  async (_what, values, log) => {
    const path = `/instances/${ids['instanceId']}`;
    await writeFile(logFile, log);
    const keys = values.map((_value, index) => `KEY_${index}`);
    const secrets = Object.fromEntries(values.map((value, index) => [`KEY_${index}`, value]));
    const calls = new Map([
      ['storing', () => account.ok('POST', `${path}/secrets`, { secrets })],
      ['reading', () => account.call('GET', `${path}/logs?limit=1000`)],
    ]);
    expect(await tooDear(api, calls)).toEqual({});
    for (const key of keys) await account.ok('DELETE', `${path}/secrets/${key}`);
  },
  LONG_MS,
);

const ends = ({ operationId, success }: Operation) => operationId !== 'instances.wait' && success.stream !== 'only';

test.each(named(operations.filter((operation) => operation.method === 'GET' && ends(operation))))(
  '%s with the longest query and with what is there keeps nobody waiting',
  async (_id, operation) => {
    const calls = new Map(
      ['', '?limit=1000', MAXIMAL_QUERY].map((query) => [query.slice(0, 20), () => send(operation, null, query)]),
    );
    expect(await tooDear(api, calls)).toEqual({});
  },
  LONG_MS,
);

test(
  'after all of that the process has grown by less than 100 MiB',
  () => eventually(async () => expect((await residentMiB(api.pid)) - residentBefore).toBeLessThan(GROWTH_MIB)),
  LONG_MS,
);
