import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { MikroORM } from '@mikro-orm/postgresql';
import { z } from 'zod';
import { createOrm } from '../../database/orm.ts';
import { setTokenPrices } from '../../database/billing/set-token-prices.ts';
import { settleLeftCalls } from '../../database/billing/settle-left-calls.ts';
import { runTransaction } from '../../database/run-transaction.ts';
import { claimDatabase, proveRelayKeys } from '../../database/stores/installation.ts';
import { sealCanaries } from '../../lib/crypto/key-canary.ts';
import { relayKeys } from '../../runtime/openclaw/install/tokens.ts';
import { newBudget } from '../factories.ts';
import { eventually } from '../support/eventually.ts';
import { startFakeModel } from '../support/fake-model.ts';
import { asRole, createTestDatabase } from '../support/test-database.ts';
import {
  addAgent,
  ask,
  callsOf,
  contentOf,
  estimateOf,
  MASTER_KEYS,
  MODEL,
  openCallsOf,
  readerOf,
  readUntil,
} from './relay-under-test.ts';
import { keysText, NODE, startRelayProcess } from './relay-process.ts';
import type { RelayProcess } from './relay-process.ts';
import { startWireServer } from './wire-server.ts';
import { removeFolder } from '../support/remove-folder.ts';

const MAIN = join(import.meta.dirname, '../../relay/main.ts');

let database: Awaited<ReturnType<typeof createTestDatabase>>;
let orm: MikroORM;

beforeAll(async () => {
  database = await createTestDatabase();
  orm = await createOrm(database.url);
});

afterAll(async () => {
  await orm.close();
  await database.drop();
});

/** Started with its own settings alone. */
const startProcess = (settings: Record<string, string> = {}): Promise<RelayProcess> => startRelayProcess(database.url, settings);

test('without a provider the process answers as the echo model, counts it, shows metrics, and stops when told to', async () => {
  const agent = await addAgent(orm);
  const { url, metricsUrl, child } = await startProcess();
  const answer = await (await ask({ url }, { token: agent.token, text: 'good morning' })).text();
  expect(contentOf(answer)).toMatch(/^You said: good morning/);
  expect(await callsOf(orm, agent)).toMatchObject([{ input_tokens: 2 }]);
  await eventually(async () => {
    const metrics = await (await fetch(metricsUrl)).text();
    expect(metrics).toContain('thermidora_relay_calls_total{outcome="completed",process="relay"} 1');
  });

  const exit = once(child, 'exit');
  child.kill('SIGTERM');
  expect(await exit).toEqual([0, null]);
});

test('no key of a provider is in a log, an answer, a metric or the database, also when the provider repeats it in its refusal', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'provider-keys-'));
  const provider = await startWireServer();
  const [plain, inFile, ofBedrock, inHeader] = ['sk-canary-1', 'sk-canary-2', 'sk-canary-3', 'sk-canary-4'];
  await writeFile(join(directory, 'key'), inFile);
  const offered = { upstream: 'anthropic.x', contextWindow: 1024, maxTokens: 1024 };
  const models = { one: 'open', two: 'claude', three: 'aws' };
  const { url, metricsUrl, child, log } = await startProcess({
    LOG_LEVEL: 'trace',
    PROVIDERS: JSON.stringify({
      open: { kind: 'openai', url: `${provider.url}/v1`, key: plain, headers: { 'x-organisation': inHeader } },
      claude: { kind: 'anthropic', url: provider.url, keyFile: join(directory, 'key') },
      aws: { kind: 'bedrock', region: 'us-east-1', url: provider.url, key: ofBedrock },
    }),
    MODELS: JSON.stringify(Object.fromEntries(Object.entries(models).map(([id, name]) => [id, { ...offered, provider: name }]))),
  });
  const agent = await addAgent(orm);
  let seen = '';
  for (const status of [401, 429, 500]) {
    provider.play((response, { headers }) => {
      const message = `No: ${headers.authorization} ${headers['x-api-key']} ${headers['x-organisation']}`;
      // Bedrock would ask for the time; here each call is made once.
      const named = { 'content-type': 'application/json', 'retry-after': '3600', 'x-amzn-errortype': 'ThrottlingException' };
      response.writeHead(status, named).end(JSON.stringify({ type: 'error', message, error: { type: 'x', message } }));
    });
    for (const [id, path] of [
      ['one', 'chat/completions'],
      ['two', 'messages'],
      ['three', 'messages'],
    ] as const) {
      await orm.em.fork().execute('update agents set model = ? where id = ?', [id, agent.agentId]);
      // What the relay remembers of an agent it forgets after some seconds.
      await eventually(async () => {
        const body = JSON.stringify({ model: id, max_tokens: 9, messages: [{ role: 'user', content: 'x' }] });
        const response = await fetch(`${url}/${path}`, {
          method: 'POST',
          headers: { authorization: `Bearer ${agent.token}` },
          body,
        });
        const answer = await response.text();
        expect(answer).not.toContain('This agent has the model');
        seen += answer;
      });
    }
  }
  seen += await (await fetch(metricsUrl)).text();
  seen += JSON.stringify(await orm.em.fork().execute('select * from model_troubles'));
  expect(seen).toContain('thermidora_relay_tries_total{provider="aws"');
  await eventually(() => expect(log()).toContain('a model provider fails'));
  expect(provider.received.map(({ headers }) => headers.authorization ?? headers['x-api-key'])).toEqual(
    expect.arrayContaining([`Bearer ${plain}`, inFile, `Bearer ${ofBedrock}`]),
  );
  expect(seen + log()).not.toContain('sk-canary');
  const exit = once(child, 'exit');
  child.kill('SIGTERM');
  await exit;
  await provider.close();
  await removeFolder(directory);
});

test('a model call that is under way at SIGTERM ends whole and is counted before the process leaves', async () => {
  const agent = await addAgent(orm);
  const model = await startFakeModel();
  const { url, child } = await startProcess({ MODEL_UPSTREAM_URL: model.url });
  const reader = readerOf(await ask({ url }, { token: agent.token, text: '[[WORDS 3]] [[HOLD stop 1]]' }));
  await readUntil(reader, '"w1"');

  const exit = once(child, 'exit');
  child.kill('SIGTERM');
  // New connections are refused from the moment the drain begins.
  await eventually(async () => expect(fetch(new URL('/livez', url), { headers: { connection: 'close' } })).rejects.toThrow());
  model.release('stop');
  await readUntil(reader, '[DONE]');
  expect(await exit).toEqual([0, null]);
  expect(await callsOf(orm, agent)).toHaveLength(1);
  await model.close();
});

test('what a relay that is killed had reserved stays, of budgets too, and is counted when the call must be over', async () => {
  const agent = await addAgent(orm);
  const price = { model: MODEL, input: 1_000_000n, output: 1_000_000n, cacheRead: 0n, cacheWrite: 0n };
  await runTransaction(orm.em, (em) => setTokenPrices(em, [price], null));
  const { budgetId } = await newBudget(orm, { account: agent.accountId, period: 'total' });
  const spendOf = async (id: string) => {
    const columns = 'tokens_nano_usd::text as tokens, reserved_nano_usd::text as reserved';
    const [row] = await orm.em.fork().execute<object[]>(`select ${columns} from budget_spends where budget_id = ?`, [id]);
    return row;
  };
  const model = await startFakeModel();
  const { url, child } = await startProcess({ MODEL_UPSTREAM_URL: model.url });
  const request = { text: '[[WORDS 3]] [[HOLD kill 1]]' };
  const reader = readerOf(await ask({ url }, { ...request, token: agent.token }));
  await readUntil(reader, '"w1"');
  const exit = once(child, 'exit');
  child.kill('SIGKILL');
  await exit;
  await expect(reader.read()).rejects.toThrow();

  const reserved = { input_tokens: estimateOf(request), output_tokens: 1024 };
  expect(await openCallsOf(orm, agent)).toMatchObject([reserved]);
  const tokens = BigInt(estimateOf(request) + 1_024);
  expect(await spendOf(budgetId)).toEqual({ tokens: '0', reserved: String(tokens) });
  expect(await settleLeftCalls(orm.em.fork(), { limit: 10, now: null })).toBe(0);
  await orm.em.fork().execute("update open_model_calls set expires_at = now() - interval '1 second'");
  expect(await settleLeftCalls(orm.em.fork(), { limit: 10, now: null })).toBe(1);
  expect(await callsOf(orm, agent)).toMatchObject([reserved]);
  expect(await spendOf(budgetId)).toEqual({ tokens: String(tokens), reserved: '0' });
  await model.close();
});

test('a wrong setting ends the start with its name', async () => {
  const child = spawn(NODE, [MAIN], { stdio: ['ignore', 'ignore', 'pipe'], env: { RELAY_PORT: 'high' } });
  const exit = once(child, 'exit');
  expect(await text(child.stderr)).toContain('RELAY_PORT');
  expect(await exit).toEqual([1, null]);
});

test('keys that are not made from those of the installation end the start, and so do none', async () => {
  const settings = { DATABASE_URL: asRole(database.url, 'relay') };
  const refused = async (env: Record<string, string>): Promise<[string, number | null]> => {
    const child = spawn(NODE, [MAIN], { stdio: ['ignore', 'ignore', 'pipe'], env: { ...settings, ...env } });
    const exit = once(child, 'exit');
    const said = await text(child.stderr);
    const [code] = await exit;
    return [said, z.number().nullable().parse(code)];
  };
  expect(await refused({})).toEqual([expect.stringContaining('RELAY_KEYS is missing'), 1]);

  const canaries = sealCanaries(MASTER_KEYS, randomBytes);
  await orm.em.fork().transactional((em) => claimDatabase(em, { id: 'of this test', canaries }));
  await proveRelayKeys(orm.em.fork(), sealCanaries(relayKeys(MASTER_KEYS), randomBytes));
  for (const given of [{ RELAY_KEYS: keysText(MASTER_KEYS) }, { MASTER_KEYS: keysText([{ id: 'test', key: randomBytes(32) }]) }])
    expect(await refused(given)).toEqual([expect.stringContaining('npm run relay:keys'), 1]);
  const { child } = await startProcess();
  child.kill('SIGKILL');
});

test('npm run relay:keys prints the keys that the relay derives', async () => {
  const script = join(import.meta.dirname, '../../scripts/relay-keys.ts');
  const child = spawn(NODE, [script], { stdio: ['ignore', 'pipe', 'inherit'], env: { MASTER_KEYS: keysText(MASTER_KEYS) } });
  expect(await text(child.stdout)).toBe(`${keysText(relayKeys(MASTER_KEYS))}\n`);
});
