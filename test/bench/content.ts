import { randomBytes } from 'node:crypto';
import { createOrm } from '../../database/orm.ts';
import { waitForAgents } from '../../runtime/openclaw/content/agent-liveness.ts';
import { relayToken } from '../../runtime/openclaw/install/tokens.ts';
import type { ApiClient } from '../support/api-client.ts';
import { eventually } from '../support/eventually.ts';
import { startGateway } from '../support/gateway-under-test.ts';
import type { StackUnderTest } from '../support/stack-under-test.ts';
import { bareTurn } from './bare-turn.ts';
import { timed } from './bench.ts';
import type { Bench } from './bench.ts';
import { median } from './table.ts';
import type { Row } from './table.ts';

const WAIT_MS = 30_000;
const CALLS = 100;
const STREAMS = 200;
const SKILL_MS = 3_000;
const AGENT_MS = 5_000;
const RESTART_MS = 15_000;
/** Two seconds of it are for further changes to share the restart. */
const RESTART_SHARE_MS = 2_500;
const RELAY_MS = 3;
const STREAM_WORDS = 50;

/** What changes inside a running instance, and the model relay against the upstream itself. */
export const benchContent: Bench = async ({ stack, rounds, say }) => {
  const account = await stack.newAccount();
  const { instanceId } = await account.ok('POST', '/instances?wait=60', { name: 'bench' });
  const path = `/instances/${instanceId}`;
  const newAgent = async (slug: string) =>
    (await account.ok('POST', `${path}/agents`, { name: slug, slug, displayName: slug })).agentId;
  const agentId = await newAgent('first');
  const ask = async (id: string, message: string): Promise<string> =>
    (await account.ok('POST', `${path}/agents/${id}/messages`, { message })).content;
  await ask(agentId, 'hello');
  const bare = await startBare();
  const [skills, agents, restarts, bareRestarts]: [number[], number[], number[], number[]] = [[], [], [], []];
  for (let round = 0; round < rounds; round += 1) {
    const name = `bench-${round}`;
    // The first turn of a gateway process costs seconds of its own.
    await ask(agentId, 'warm up');
    skills.push(await timed(() => installAndSee({ stack, account, path, name, ask: () => ask(agentId, `seen ${name}`) })));
    agents.push(await timed(async () => ask(await newAgent(`agent-${round}`), 'hello')));
    restarts.push(
      await timed(async () => {
        await account.ok('POST', `${path}/secrets`, { secrets: { BENCH: String(round) } });
        await account.ok('GET', `${path}/wait?status=running&timeout=60`);
      }),
    );
    // In the same minute: what a start costs depends on what else this machine does.
    await bare.addAgent(`agent-${round}`);
    bareRestarts.push(await timed(() => bare.restart()));
    const [skill, agent, secret, alone] = [skills, agents, restarts, bareRestarts].map((values) =>
      Math.round(values.at(-1) ?? 0),
    );
    say(`  round ${round + 1}: skill ${skill}, agent ${agent}, secret ${secret}, bare restart ${alone} ms`);
  }
  await bare.close();
  const row = (what: string, values: number[], limit: number): Row => ({
    what,
    values,
    unit: 'ms',
    goal: `p50 <= ${limit}`,
    reached: median(values) <= limit,
  });
  const relay = await benchRelay(stack, agentId);
  await account.ok('DELETE', path);
  return [
    row('skill installed to visible in a prompt', skills, SKILL_MS),
    row('agent created to first answer', agents, AGENT_MS),
    { what: 'bare gateway: stop, start to ready', values: bareRestarts, unit: 'ms', goal: 'the baseline', reached: null },
    {
      what: 'secret stored to running again',
      values: restarts,
      unit: 'ms',
      goal: `p50 <= bare + ${RESTART_SHARE_MS} (${RESTART_MS} in all: ${median(restarts) <= RESTART_MS ? 'yes' : 'NO'})`,
      reached: median(restarts) <= median(bareRestarts) + RESTART_SHARE_MS,
    },
    ...relay,
  ];
};

interface Bare {
  /** Adds an agent and asks it something, as the round does with ours: a gateway whose agents have changed starts more slowly. */
  addAgent(id: string): Promise<void>;
  restart(): Promise<void>;
  close(): Promise<void>;
}

async function startBare(): Promise<Bare> {
  const agents = ['first'];
  const gateway = await startGateway(agents);
  const ask = async (id: string): Promise<void> => {
    await bareTurn(await gateway.connect(), id, 'hello');
  };
  return {
    async addAgent(id) {
      await ask('first');
      agents.push(id);
      await gateway.setAgents(agents);
      const options = { deadlineMs: WAIT_MS, signal: AbortSignal.timeout(WAIT_MS) };
      await waitForAgents(await gateway.endpoint(), gateway.token, { present: agents, absent: [] }, options);
      await ask(id);
    },
    async restart() {
      await gateway.stop(30_000);
      await gateway.start();
    },
    close: () => gateway.close(),
  };
}

interface Installing {
  stack: StackUnderTest;
  account: ApiClient;
  path: string;
  name: string;
  ask: () => Promise<unknown>;
}

async function installAndSee({ stack, account, path, name, ask }: Installing): Promise<void> {
  await account.ok('POST', `${path}/skills`, { name, files: { 'SKILL.md': `---\ndescription: Does ${name}.\n---\nx` } });
  await eventually(async () => {
    await ask();
    const call = stack.model.calls.findLast(({ lastUserText }) => lastUserText.includes(`seen ${name}`));
    if (!JSON.stringify(call?.messages).includes(`Does ${name}.`)) throw new Error('it is not in the prompt');
  });
}

async function benchRelay(stack: StackUnderTest, agentId: string): Promise<Row[]> {
  const models = await (await stack.newAccount()).ok('GET', '/models');
  const { id: model } = models.models[0];
  const straight = (text: string) => firstToken(stack.model.url, { model, token: 'x', text });
  const orm = await createOrm(stack.databaseUrl);
  const [row] = await orm.em
    .fork()
    .execute<{ epoch: number | null }[]>(
      'select gateway_epoch::float8 as epoch from instances join agents on instance_id = instances.id where agents.id = ?',
      [agentId],
    );
  await orm.close();
  const token = relayToken([stack.masterKey], { agentId, epoch: row?.epoch ?? null });
  const relayed = (text: string) => firstToken(stack.driver.relayUrl(), { model, token, text });
  for (let warmUp = 0; warmUp < 10; warmUp += 1) await Promise.all([straight('hello'), relayed('hello')]);
  const [bare, ours]: [number[], number[]] = [[], []];
  for (let call = 0; call < CALLS; call += 1) {
    bare.push((await straight('hello')).firstMs);
    ours.push((await relayed('hello')).firstMs);
  }
  const added = median(ours) - median(bare);
  const streams = await Promise.all(
    Array.from({ length: STREAMS }, () => relayed(`[[WORDS ${STREAM_WORDS}]] [[DELAY 20]] ${randomBytes(4).toString('hex')}`)),
  );
  const whole = streams.filter(({ text }) => text.includes(`w${STREAM_WORDS}`) && text.includes('[DONE]')).length;
  return [
    { what: 'relay, first token: the upstream itself', values: bare, unit: 'ms', goal: 'the baseline', reached: null },
    {
      what: 'relay, first token: through the relay',
      values: ours,
      unit: 'ms',
      goal: `<= ${RELAY_MS} added p50 (added ${added.toFixed(1)})`,
      reached: added <= RELAY_MS,
    },
    {
      what: `${STREAMS} streams at once: first token`,
      values: streams.map(({ firstMs }) => firstMs),
      unit: 'ms',
      goal: `all whole (${whole})`,
      reached: whole === STREAMS,
    },
  ];
}

async function firstToken(
  url: string,
  { model, token, text }: { model: string; token: string; text: string },
): Promise<{ firstMs: number; text: string }> {
  const startedAt = performance.now();
  const response = await fetch(`${url}/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ model, stream: true, messages: [{ role: 'user', content: text }] }),
  });
  if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
  const decoder = new TextDecoder();
  let [said, firstMs] = ['', Number.NaN];
  for await (const chunk of response.body ?? []) {
    said += decoder.decode(chunk, { stream: true });
    if (Number.isNaN(firstMs) && /"content":"[^"]/.test(said)) firstMs = performance.now() - startedAt;
  }
  return { firstMs, text: said };
}
