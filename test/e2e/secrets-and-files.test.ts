import { createHash, randomBytes } from 'node:crypto';
import type { MikroORM } from '@mikro-orm/postgresql';
import { Client, Connection } from '@temporalio/client';
import proto from '@temporalio/proto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createOrm } from '../../database/orm.ts';
import type { ApiClient } from '../support/api-client.ts';
import { eventually } from '../support/eventually.ts';
import { newAgent, say, untilStatus } from '../support/patient-client.ts';
import { startStack } from '../support/stack-under-test.ts';
import type { StackUnderTest } from '../support/stack-under-test.ts';
import { untilSettled } from './content-of-stack.ts';

/** One red pixel. */
const PNG = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg==';
const SEEING = { upstream: 'seeing', contextWindow: 128_000, maxTokens: 4_096, input: ['text', 'image'] };

let stack: StackUnderTest;
let orm: MikroORM;
let account: ApiClient;
let instanceId: string;
let agentId: string;
const newCanary = () => `canary-${randomBytes(16).toString('hex')}`;
const [first, second, gone] = [newCanary(), newCanary(), newCanary()];

beforeAll(async () => {
  stack = await startStack({ env: { MODELS: JSON.stringify({ seeing: SEEING }) } });
  orm = await createOrm(stack.databaseUrl);
  account = await stack.newAccount();
  ({ instanceId } = await account.ok('POST', '/instances', { name: 'content' }));
  // Its first start takes it along.
  await account.ok('POST', path('secrets'), { secrets: { CANARY_TOKEN: first, GONE_TOKEN: gone } });
  ({ agentId } = await newAgent(account, instanceId));
});

afterAll(async () => {
  await orm?.close();
  await stack?.close();
});

const path = (rest: string) => `/instances/${instanceId}/${rest}`;
const runs = () => untilSettled(orm, account, instanceId);

/** What a command prints that the agent runs. */
async function run(command: string): Promise<string> {
  const message = `[[TOOL exec ${JSON.stringify({ command, yieldMs: 120_000 })}]]`;
  return (await say(account, path(`agents/${agentId}/messages`), { message })).content;
}

test('a secret is in what agents run and nowhere else: no row, log, workflow history, answer or error holds it in clear', async () => {
  const answers: unknown[] = [];
  const digest = (text: string) => createHash('sha256').update(text).digest('hex');
  const digestsInside = () => run('printf %s "$CANARY_TOKEN" | sha256sum; printf %s "$GONE_TOKEN" | sha256sum');

  await runs();
  const before = await digestsInside();
  for (const canary of [first, gone]) expect(before).toContain(digest(canary));
  answers.push(await account.ok('POST', path('secrets'), { secrets: { CANARY_TOKEN: second } }));
  expect(answers).toEqual([{ stored: 1, restarting: true }]);
  // One start of the gateway takes both along.
  answers.push(await account.ok('DELETE', path('secrets/GONE_TOKEN')));
  answers.push((await account.call('POST', path('secrets'), { secrets: { PATH: second, lower: first } })).body);
  answers.push((await account.call('POST', path('secrets'), { secrets: [first] })).body);
  answers.push((await account.call('POST', path('secrets'), { [second]: { secrets: 1 } })).body);
  await runs();
  const after = await digestsInside();
  for (const canary of [second, '']) expect(after).toContain(digest(canary));
  for (const canary of [first, gone]) expect(after).not.toContain(digest(canary));
  answers.push(await account.ok('GET', path('secrets')), await account.ok('GET', path('logs?limit=1000')));
  answers.push(await account.ok('GET', path('events')), await account.ok('GET', `/instances/${instanceId}`));

  const places: Record<string, string> = {
    answers: JSON.stringify(answers),
    database: await everyRow(),
    histories: await everyHistory(),
  };
  for (const name of ['api', 'worker', 'relay'] as const) places[name] = await stack.logOf(name);
  for (const [place, text] of Object.entries(places)) {
    expect(text.length).toBeGreaterThan(0);
    for (const canary of [first, second, gone])
      for (const form of [canary, Buffer.from(canary).toString('base64').slice(0, 40), Buffer.from(canary).toString('hex')])
        expect([place, text.includes(form)]).toEqual([place, false]);
  }
});

/** Calls the files of the agent with bodies that are no JSON. */
async function filesByName(): Promise<(method: string, name: string, body?: string) => Promise<Response>> {
  const credentials = { 'x-api-key': (await account.ok('POST', '/auth/keys', { name: 'files' })).apiKey };
  const url = `${stack.url}/v1${path(`agents/${agentId}/files`)}`;
  return (method, name, body) =>
    fetch(`${url}/${name}`, { method, headers: credentials, ...(body === undefined ? {} : { body }) });
}

test('an agent shows its files as they are while it runs, and as they were while it is stopped, when they can be changed too', async () => {
  const send = await filesByName();
  const filesOf = async () => (await account.ok('GET', path(`agents/${agentId}`))).files;
  await account.ok('PATCH', path(`agents/${agentId}`), { files: { 'MEMORY.md': 'as given', 'notes/plan.md': 'plan' } });
  await runs();
  await run('printf remembered > MEMORY.md; mkdir -p memory; printf day > memory/2026-01-31.md; printf changed > notes/plan.md');
  await run('mkdir -p in out; printf given > in/given.txt; printf made > out/made.txt');
  const seen = {
    'MEMORY.md': 'remembered',
    'memory/2026-01-31.md': 'day',
    'notes/plan.md': 'changed',
    'SOUL.md': expect.any(String),
  };
  await eventually(async () => expect(await filesOf()).toMatchObject(seen));
  await account.ok('POST', path('stop'));
  await untilStatus(account, instanceId, 'stopped');
  expect(await filesOf()).toMatchObject(seen);
  expect(await account.ok('PATCH', path(`agents/${agentId}`), { files: { 'notes/plan.md': null } })).not.toHaveProperty([
    'files',
    'notes/plan.md',
  ]);
  expect((await send('DELETE', 'in/given.txt')).status).toBe(200);
  expect((await send('PUT', 'out/made.txt', 'while stopped')).status).toBe(200);
  await account.ok('POST', path('start'));
  await runs();
  const { 'notes/plan.md': _gone, ...rest } = seen;
  const files = await filesOf();
  expect(files).toMatchObject(rest);
  expect(files).not.toHaveProperty(['notes/plan.md']);
  const changed = await run('echo in: $(ls in); cat out/made.txt');
  expect(changed).toContain('while stopped');
  expect(changed).not.toContain('given.txt');
});

test('files go both ways between a customer and a running agent, and nothing of the gateway itself is among them', async () => {
  const files = path(`agents/${agentId}/files`);
  const send = await filesByName();
  await runs();
  await run('mkdir -p out && printf made > out/made.txt && ln -s ../../../openclaw.json out/link && ln -s / out/root');
  expect(await (await send('GET', 'out/made.txt')).text()).toBe('made');
  expect([(await send('GET', 'out/link')).status, (await send('GET', 'out/root/etc/passwd')).status]).toEqual([404, 404]);
  expect((await send('PUT', 'in/given.txt', 'given')).status).toBe(200);
  expect((await send('PUT', 'SOUL.md', 'Be brief.')).status).toBe(200);
  expect(await run('cat in/given.txt SOUL.md')).toContain('givenBe brief.');
  const paths = async () => (await account.ok('GET', files)).files.map(({ path: name }: { path: string }) => name);
  const expected = ['AGENTS.md', 'IDENTITY.md', 'MEMORY.md', 'SOUL.md', 'USER.md'];
  expect(await paths()).toEqual([...expected, 'in/given.txt', 'memory/2026-01-31.md', 'out/made.txt']);
});

test('a model that takes images is shown those that came with a message, and the agent reads the other files', async () => {
  const attachments = [
    { name: 'My photo (1).png', mediaType: 'image/png', data: PNG },
    { name: 'numbers.csv', mediaType: 'text/csv', data: Buffer.from('4711,42').toString('base64') },
  ];
  const message = { message: 'What is [[TOOL exec {"command":"cat inbox/*/numbers.csv"}]] in these?', attachments };
  const agent = path(`agents/${agentId}`);
  const { content } = await say(account, `${agent}/messages`, message);
  expect(content).toContain('4711,42');
  const call = stack.model.calls.find(({ lastUserText }) => lastUserText.includes('in these?'));
  expect(JSON.stringify(call?.messages)).toContain('./inbox/');
  const parts = call?.messages.flatMap((one) => (Array.isArray(one.content) ? one.content : [])) ?? [];
  const images = parts.filter(({ type }) => type === 'image_url');
  expect(images).toMatchObject([{ image_url: { url: expect.stringMatching(/^data:image\/(png|jpeg);base64,/) } }]);
  const { messages } = await account.ok('GET', `${agent}/messages`);
  const asked = messages.find((one: { content: string }) => one.content === message.message);
  expect(asked).toMatchObject({ content: message.message, attachments: [{ size: 70 }, { size: 7 }] });
  const got = await account.raw('GET', `${agent}/files/${asked.attachments[0].path}`);
  expect(Buffer.from(await got.arrayBuffer()).toString('base64')).toBe(PNG);
});

/** What a dump of the database holds. */
async function everyRow(): Promise<string> {
  const em = orm.em.fork();
  const tables = await em.execute<{ name: string }[]>(
    `select table_name as name from information_schema.tables where table_schema = 'public' and table_type = 'BASE TABLE'`,
  );
  const texts: string[] = [];
  for (const { name } of tables) {
    const rows = await em.execute<{ row: string }[]>(`select "${name}"::text as row from "${name}"`);
    texts.push(...rows.map(({ row }) => row));
  }
  expect(tables.map(({ name }) => name)).toContain('instance_secrets');
  return texts.join('\n');
}

async function everyHistory(): Promise<string> {
  const { address, namespace } = stack.temporal;
  const connection = await Connection.connect({ address });
  try {
    const client = new Client({ connection, namespace });
    const texts: string[] = [];
    for await (const { workflowId, runId } of client.workflow.list()) {
      const history = await client.workflow.getHandle(workflowId, runId).fetchHistory();
      texts.push(Buffer.from(proto.temporal.api.history.v1.History.encode(history).finish()).toString('latin1'));
    }
    return texts.join('\n');
  } finally {
    await connection.close();
  }
}
