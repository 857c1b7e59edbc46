import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { campaignRounds, createDice, describeCounts, reportCampaign } from '../support/campaign.ts';
import type { Dice } from '../support/campaign.ts';
import { eventually, TEST_LIMIT_MS } from '../support/eventually.ts';
import { residentMiB } from '../support/resident-memory.ts';
import { openTestOrm } from '../support/test-database.ts';
import type { TestOrm } from '../support/test-database.ts';
import { PROVIDER_KINDS } from './provider-kinds.ts';
import type { ProviderKind } from './provider-kinds.ts';
import { startRelayProcess } from './relay-process.ts';
import type { RelayProcess } from './relay-process.ts';
import { addAgent, callsOf } from './relay-under-test.ts';
import type { TestAgent } from './relay-under-test.ts';
import { answerOf, startUnsteadyProvider } from './unsteady-provider.ts';
import type { UnsteadyProvider } from './unsteady-provider.ts';

const ROUNDS = campaignRounds();
/** So many calls of an agent are under way at the same time; the relay lets no more through. */
const CALLS_OF_AGENT = 8;
/** With those of the steady model 200 streams. */
const AGENTS = { unsteady: 6, steady: 7 };
const STEADY = 'steady';
/** Pauses between changes of the providers. */
const CHANGE_MS = { least: 30, most: 120 };
/** The relay's memory after the first round may grow by so much in all others: what grows with calls is a multiple of it. */
const MAY_GROW_MIB = 64;

interface Pair {
  kind: ProviderKind;
  providers: readonly [UnsteadyProvider, UnsteadyProvider];
}

let database: TestOrm;
let pairs: Pair[];
let steady: UnsteadyProvider;
let relay: RelayProcess;
let callers: { agent: TestAgent; model: string; kind: ProviderKind }[];

beforeAll(async () => {
  database = await openTestOrm();
  pairs = await Promise.all(
    PROVIDER_KINDS.map(async (kind) => ({
      kind,
      providers: [await startUnsteadyProvider('one', kind), await startUnsteadyProvider('two', kind)] as const,
    })),
  );
  const [openai] = PROVIDER_KINDS;
  steady = await startUnsteadyProvider(STEADY, openai!);
  relay = await startRelayProcess(database.url, settings(openai!));
  callers = [
    ...(await newCallers(STEADY, openai!, AGENTS.steady)),
    ...(await Promise.all(PROVIDER_KINDS.map((kind) => newCallers(kind.name, kind, AGENTS.unsteady)))).flat(),
  ];
}, TEST_LIMIT_MS);

afterAll(async () => {
  await relay.stop();
  await Promise.all([steady, ...pairs.flatMap(({ providers }) => providers)].map((provider) => provider.close()));
  await database.close();
});

/** A model of each kind with a provider and a fall-back, and one of a provider that stays well. */
function settings(openai: ProviderKind): Record<string, string> {
  const size = { contextWindow: 8192, maxTokens: 1024 };
  const providers = pairs.flatMap(({ kind, providers: [one, two] }) => [
    [`${kind.name}-one`, kind.setting(one.url)],
    [`${kind.name}-two`, kind.setting(two.url)],
  ]);
  const models = pairs.map(({ kind: { name, upstream } }) => [
    name,
    { ...size, upstream, provider: `${name}-one`, fallbacks: [{ provider: `${name}-two`, upstream }] },
  ]);
  return {
    PROVIDERS: JSON.stringify({ ...Object.fromEntries(providers), [STEADY]: openai.setting(steady.url) }),
    MODELS: JSON.stringify({ ...Object.fromEntries(models), [STEADY]: { ...size, upstream: 'm', provider: STEADY } }),
  };
}

async function newCallers(model: string, kind: ProviderKind, count: number): Promise<typeof callers> {
  const agents = await Promise.all(Array.from({ length: count }, () => addAgent(database.orm, { model })));
  return agents.map((agent) => ({ agent, model, kind }));
}

/** Of each pair one provider at most is in trouble at a time, so there is always one that can answer. */
async function trouble(dice: Dice, signal: AbortSignal): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  while (!signal.aborted) {
    const { providers } = dice.pick(pairs);
    const [troubled, well] = dice.below(2) === 0 ? providers : [providers[1], providers[0]];
    const next = dice.pick(['none', 'dead', 'slow', 'busy'] as const);
    well.become('none');
    troubled.become(next);
    counts[next] = (counts[next] ?? 0) + 1;
    await pause(CHANGE_MS.least + dice.below(CHANGE_MS.most - CHANGE_MS.least));
  }
  for (const { providers } of pairs) for (const provider of providers) provider.become('none');
  return counts;
}

type End = 'whole' | 'cut';

/** Calls that the relay could not count in time, on a busy machine; a gateway makes them again. */
let notCounted = 0;

/** One call, made again until the relay can count it. */
function call({ agent, model, kind }: (typeof callers)[number], id: number): Promise<Response> {
  return eventually(async () => {
    const response = await fetch(`${relay.url}/${kind.path}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${agent.token}`, 'content-type': 'application/json' },
      body: JSON.stringify({ model, stream: true, max_tokens: 100, messages: [{ role: 'user', content: `id-${id}` }] }),
    });
    if (response.status !== 503) return response;
    notCounted += 1;
    throw new Error(`Call ${id} of ${model}: ${await response.text()}`);
  });
}

/** One stream. Throws for an answer that is refused, mixed, or cut where no provider has cut it. */
async function follow(caller: (typeof callers)[number], id: number): Promise<End> {
  const { model, kind } = caller;
  const response = await call(caller, id);
  if (response.status !== 200) throw new Error(`Call ${id} of ${model}: ${response.status} ${await response.text()}`);
  const stream = await textUntilCut(response);
  const said = kind.textOf(stream);
  const from = said.slice(0, said.indexOf('/'));
  const whole = answerOf(from, id);
  if (kind.isWhole(stream)) {
    expect(said).toBe(whole);
    return 'whole';
  }
  // What has come is the beginning of one provider's answer, whose end that provider did not send.
  expect(whole.startsWith(said)).toBe(true);
  const cutBy = pairs.find(({ kind: { name } }) => name === model)?.providers.filter(({ cut }) => cut.has(id)) ?? [];
  expect(cutBy.length).toBeGreaterThan(0);
  return 'cut';
}

/** What comes of a body, whole or not. */
async function textUntilCut({ body }: Response): Promise<string> {
  let text = '';
  const decoder = new TextDecoder();
  try {
    for await (const chunk of body ?? []) text += decoder.decode(chunk, { stream: true });
    return text;
  } catch {
    return text;
  }
}

/** 200 streams at the same time. */
async function round(firstId: number): Promise<Record<string, number>> {
  let id = firstId;
  const streams = callers.flatMap((caller) =>
    Array.from({ length: CALLS_OF_AGENT }, async () => {
      id += 1;
      const end = await follow(caller, id);
      return caller.model === STEADY ? `${STEADY} ${end}` : end;
    }),
  );
  const ends = await Promise.all(streams);
  return Object.fromEntries([...Map.groupBy(ends, (end) => end)].map(([end, all]) => [end, all.length]));
}

test(
  'while providers die, slow down and refuse at random, every stream is whole and from one provider or cut as that one cut it, and other models notice nothing',
  async () => {
    const dice = createDice('provider kills');
    const counts: Record<string, number> = { rounds: ROUNDS, calls: 0 };
    const add = (more: Record<string, number>) => {
      for (const [name, count] of Object.entries(more)) counts[name] = (counts[name] ?? 0) + count;
    };
    // Before any trouble: what the process needs for 200 streams.
    let id = 0;
    expect(await round(id)).toEqual({ whole: 144, [`${STEADY} whole`]: 56 });
    const before = await residentMiB(relay.child.pid!);
    for (let turn = 0; turn < ROUNDS; turn += 1) {
      id += callers.length * CALLS_OF_AGENT;
      const over = new AbortController();
      const troubles = trouble(dice, over.signal);
      const ends = await round(id).finally(() => over.abort());
      expect(ends[`${STEADY} whole`]).toBe(56);
      add(ends);
      add(await troubles);
    }
    counts['calls'] = ROUNDS * callers.length * CALLS_OF_AGENT;

    const rows = await Promise.all(callers.map(({ agent }) => callsOf(database.orm, agent)));
    expect(rows.map((calls) => calls.length)).toEqual(callers.map(() => (ROUNDS + 1) * CALLS_OF_AGENT));
    // The database may have reserved a call after the relay has given it up.
    await eventually(async () => {
      const open = await database.orm.em.fork().execute('select id from open_model_calls');
      expect(open.length).toBeLessThanOrEqual(notCounted);
    });
    const grown = (await residentMiB(relay.child.pid!)) - before;
    expect(grown).toBeLessThan(MAY_GROW_MIB);
    counts['grown_mib'] = Math.round(grown);
    const outcome = `${describeCounts(counts)}; none refused, none mixed, none counted twice`;
    await reportCampaign({ name: 'provider kills', seed: dice.seed, counts, outcome, file: import.meta.filename });
  },
  TEST_LIMIT_MS + ROUNDS * 30_000,
);
