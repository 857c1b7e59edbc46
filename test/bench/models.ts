import { Agent, request } from 'undici';
import { setTokenPrices } from '../../database/billing/set-token-prices.ts';
import { createOrm } from '../../database/orm.ts';
import { runTransaction } from '../../database/run-transaction.ts';
import type { MikroORM } from '@mikro-orm/postgresql';
import { newAccount, newBudget, newInstance } from '../factories.ts';
import { PROVIDER_KINDS } from '../relay/provider-kinds.ts';
import type { ProviderKind } from '../relay/provider-kinds.ts';
import { startRelayProcess } from '../relay/relay-process.ts';
import type { RelayProcess } from '../relay/relay-process.ts';
import { addAgent } from '../relay/relay-under-test.ts';
import type { TestAgent } from '../relay/relay-under-test.ts';
import { startWireServer } from '../relay/wire-server.ts';
import type { WireServer } from '../relay/wire-server.ts';
import { createTestDatabase } from '../support/test-database.ts';
import { timed } from './bench.ts';
import type { Bench } from './bench.ts';
import { median } from './table.ts';
import type { Row } from './table.ts';

const CALLS = 300;
const WARM_UP_CALLS = 50;
const MAY_ADD_MS = 3;
const BUDGETS_MAY_ADD_MS = 1;
/** A call counts for both. */
const BUDGETS = [{}, { agentId: '*' }];
/** In nano-dollars; far more than the calls cost. */
const LIMIT = 1_000_000_000_000n;
const STREAMS = 200;
const CALLS_OF_AGENT = 8;
const WORDS_OF_STREAM = 50;
/** The end of an answer waits for its count, so the first word must not come with it. */
const WORDS_OF_CALL = 3;
const WORD_MS = 10;
/** Each with a circuit of its own, so that its first provider is asked first. */
const REFUSED_MODELS = 50;
const SWITCH_MAY_TAKE_MS = 50;
/** Where no server listens. */
const REFUSING_URL = 'http://127.0.0.1:9';

/**
 * What the relay adds to the first token of providers of each kind, beside the provider alone, with and without budgets; many streams at once; and what
 * a fall-back costs when the first provider refuses the connection.
 */
export const benchModels: Bench = async () => {
  const database = await createTestDatabase();
  const orm = await createOrm(database.url);
  const dispatcher = new Agent({ connections: STREAMS });
  const providers = await Promise.all(PROVIDER_KINDS.map(async (kind) => ({ kind, ...(await startProvider(kind)) })));
  const relay = await startRelayProcess(database.url, settingsOf(providers));
  try {
    const rows: Row[] = [];
    for (const { kind, url } of providers)
      rows.push(...(await firstTokens({ kind, url, relay, dispatcher, ...(await addCallers(orm, kind)) })));
    rows.push(await manyStreams(orm, relay, dispatcher));
    const [openai] = providers;
    if (openai) rows.push(await switches(orm, openai, relay, dispatcher));
    return rows;
  } finally {
    await relay.stop();
    await dispatcher.destroy();
    await Promise.all(providers.map((provider) => provider.close()));
    await orm.close();
    await database.drop();
  }
};

/** Answers a call that asks for `words-<n>` with as many words, the first one at once. */
async function startProvider(kind: ProviderKind): Promise<WireServer> {
  const server = await startWireServer();
  server.play((response, { body }) => {
    const count = Number(/words-(\d+)/.exec(JSON.stringify(body))?.[1] ?? 1);
    response.writeHead(200, { 'content-type': kind.contentType }).write(Buffer.concat([kind.begin(), kind.word('w0 ')]));
    let word = 1;
    const next = (): void => {
      if (word >= count) return void response.end(kind.end());
      response.write(kind.word(`w${word} `));
      word += 1;
      setTimeout(next, WORD_MS);
    };
    next();
  });
  return server;
}

const refusedModel = (index: number): string => `refused-${index}`;

/** A model of each kind, named as it is, and models whose first provider refuses the connection. */
function settingsOf(providers: readonly { kind: ProviderKind; url: string }[]): Record<string, string> {
  const size = { contextWindow: 8192, maxTokens: 1024 };
  const models = providers.map(({ kind: { name, upstream } }) => [name, { ...size, upstream, provider: name }]);
  const refused = Array.from({ length: REFUSED_MODELS }, (_, index) => {
    const upstream = refusedModel(index);
    return [upstream, { ...size, upstream, provider: 'refusing', fallbacks: [{ provider: 'openai', upstream: 'a-model' }] }];
  });
  const named = providers.map(({ kind, url }) => [kind.name, kind.setting(url)]);
  const refusing = { kind: 'openai', url: `${REFUSING_URL}/v1`, key: 'a-key' };
  return {
    PROVIDERS: JSON.stringify({ ...Object.fromEntries(named), refusing }),
    MODELS: JSON.stringify(Object.fromEntries([...models, ...refused])),
  };
}

interface Call {
  url: string;
  model: string;
  token: string;
  words: number;
  dispatcher: Agent;
  /** What tells that the first word has come; without it, any byte. */
  first?: string;
}

/** How long the first word took, and all that came. */
async function call({ url, model, token, words, dispatcher, first = '' }: Call): Promise<{ firstMs: number; text: string }> {
  const startedAt = performance.now();
  const { statusCode, body } = await request(url, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ model, stream: true, max_tokens: 100, messages: [{ role: 'user', content: `words-${words}` }] }),
    dispatcher,
  });
  if (statusCode !== 200) throw new Error(`A call was refused with ${statusCode}: ${await body.text()}`);
  let firstMs: number | null = null;
  let text = '';
  for await (const chunk of body) {
    text += String(chunk);
    if (firstMs === null && text.includes(first)) firstMs = performance.now() - startedAt;
  }
  if (firstMs === null) throw new Error(`A stream ended without its first word: ${text}`);
  return { firstMs, text };
}

interface Callers {
  /** Of an account with budgets. */
  capped: TestAgent;
  free: TestAgent;
}

/** Agents of two accounts, whose model has a price. */
async function addCallers(orm: MikroORM, { name: model }: ProviderKind): Promise<Callers> {
  const price = { model, input: 1_000_000_000n, output: 1_000_000_000n, cacheRead: 0n, cacheWrite: 0n };
  await runTransaction(orm.em, (em) => setTokenPrices(em, [price], null));
  const add = async (): Promise<TestAgent> => {
    const { accountId: account } = await newAccount(orm, { balanceNanoUsd: LIMIT });
    return addAgent(orm, { model, instance: await newInstance(orm, { account }) });
  };
  const [capped, free] = [await add(), await add()];
  for (const scope of BUDGETS) await newBudget(orm, { account: capped.accountId, limitNanoUsd: LIMIT, ...scope });
  return { capped, free };
}

interface Measured extends Callers {
  kind: ProviderKind;
  url: string;
  relay: RelayProcess;
  dispatcher: Agent;
}

/** In turns: the provider alone, and through the relay, within budgets and without. */
async function firstTokens({ kind, url, relay, dispatcher, capped, free }: Measured): Promise<Row[]> {
  const words = { words: WORDS_OF_CALL, dispatcher };
  const through = { url: `${relay.url}/${kind.path}`, model: kind.name, ...words, first: 'w0 ' };
  const calls = [
    { url: url + kind.upstreamPath, model: kind.upstream, token: free.token, ...words },
    { ...through, token: free.token },
    { ...through, token: capped.token },
  ];
  const times = calls.map((): number[] => []);
  for (let index = 0; index < WARM_UP_CALLS + CALLS; index += 1) {
    const inTurn = [...calls.entries()];
    for (const [place, one] of index % 2 === 0 ? inTurn : inTurn.toReversed()) {
      const { firstMs } = await call(one);
      if (index >= WARM_UP_CALLS) times[place]?.push(firstMs);
    }
  }
  const [alone = [], unbudgeted = [], budgeted = []] = times;
  const added = median(budgeted) - median(alone);
  const byBudgets = median(budgeted) - median(unbudgeted);
  const what = `first token of ${kind.name}`;
  return [
    { what: `${what}, alone`, values: alone, unit: 'ms', goal: 'the baseline', reached: null },
    {
      ...{ what: `${what}, through the relay without a budget`, values: unbudgeted, unit: 'ms' },
      ...{
        goal: `${BUDGETS.length} budgets add <= ${BUDGETS_MAY_ADD_MS} (${byBudgets.toFixed(1)})`,
        reached: byBudgets <= BUDGETS_MAY_ADD_MS,
      },
    },
    {
      ...{ what: `${what}, through the relay within ${BUDGETS.length} budgets`, values: budgeted, unit: 'ms' },
      ...{ goal: `p50 <= alone + ${MAY_ADD_MS} (${added.toFixed(1)})`, reached: added <= MAY_ADD_MS },
    },
  ];
}

/** At once, over all kinds: how long each took from its first word to its end. */
async function manyStreams(orm: MikroORM, relay: RelayProcess, dispatcher: Agent): Promise<Row> {
  const agents = await Promise.all(
    Array.from({ length: STREAMS / CALLS_OF_AGENT }, async (_, index) => {
      const kind = PROVIDER_KINDS[index % PROVIDER_KINDS.length] ?? PROVIDER_KINDS[0]!;
      return { kind, agent: await addAgent(orm, { model: kind.name }) };
    }),
  );
  const calls = agents.flatMap((caller) => Array.from({ length: CALLS_OF_AGENT }, () => caller));
  const values: number[] = [];
  const whole = await Promise.all(
    calls.map(async ({ kind, agent: { token } }) => {
      const stream = { url: `${relay.url}/${kind.path}`, model: kind.name, token, words: WORDS_OF_STREAM, dispatcher };
      let text = '';
      values.push(await timed(async () => ({ text } = await call(stream))));
      return kind.textOf(text).split(' ').length === WORDS_OF_STREAM + 1 && kind.isWhole(text);
    }),
  );
  const count = whole.filter(Boolean).length;
  const goal = `all whole (${count} of ${STREAMS})`;
  return { what: `${STREAMS} streams of ${WORDS_OF_STREAM} words at once`, values, unit: 'ms', goal, reached: count === STREAMS };
}

/** The first token of models whose first provider refuses the connection, beside that of their fall-back through the relay. */
async function switches(orm: MikroORM, { kind }: { kind: ProviderKind }, relay: RelayProcess, dispatcher: Agent): Promise<Row> {
  const url = `${relay.url}/${kind.path}`;
  const [plain, switched]: [number[], number[]] = [[], []];
  const { token: plainToken } = await addAgent(orm, { model: kind.name });
  for (let index = 0; index < REFUSED_MODELS; index += 1) {
    const model = refusedModel(index);
    const { token } = await addAgent(orm, { model });
    plain.push(
      (await call({ url, model: kind.name, token: plainToken, words: WORDS_OF_CALL, dispatcher, first: 'w0 ' })).firstMs,
    );
    switched.push((await call({ url, model, token, words: WORDS_OF_CALL, dispatcher, first: 'w0 ' })).firstMs);
  }
  const added = median(switched) - median(plain);
  const goal = `p50 <= the fall-back alone + ${SWITCH_MAY_TAKE_MS} (${added.toFixed(1)})`;
  const what = 'first token when the first provider refuses the connection';
  return { what, values: switched, unit: 'ms', goal, reached: added <= SWITCH_MAY_TAKE_MS };
}
