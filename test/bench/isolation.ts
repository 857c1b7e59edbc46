import { setTimeout as sleep } from 'node:timers/promises';
import { operations } from '../../api/operations/index.ts';
import { priceOf } from '../support/event-loop-stand.ts';
import { largestBodies } from '../support/largest-bodies.ts';
import { residentMiB } from '../support/resident-memory.ts';
import { controlScripted } from '../support/scripted-gateway/scripted-control.ts';
import type { Deed } from '../support/scripted-gateway/faults.ts';
import { installScriptedOpenClaw } from '../support/stand-in-openclaw.ts';
import { startStack } from '../support/stack-under-test.ts';
import type { ProcessName, StackUnderTest } from '../support/stack-under-test.ts';
import { FLOOD_NAMES } from '../support/two-tenants/floods.ts';
import { PRODUCT_LIMITS } from '../support/two-tenants/product-limits.ts';
import { startProvider } from '../support/two-tenants/start-provider.ts';
import { startFlood } from '../support/two-tenants/start-flood.ts';
import { newTenant, useAs } from '../support/two-tenants/tenant.ts';
import type { TenantPlace, Use } from '../support/two-tenants/tenant.ts';
import type { Bench } from './bench.ts';
import { percentile } from './table.ts';
import type { Row } from './table.ts';

const WARM_UP_MS = 10_000;
const ALONE_MS = 30_000;
const FLOOD_MS = 15_000;
const HOSTILE_MS = 15_000;
const STAND_MS = 200;
const MEBIBYTE = 1024 ** 2;
/** `mem_limit` of docker-compose.yml. */
const MEMORY_LIMITS: Record<ProcessName, number> = { api: 1_024, worker: 1_024, relay: 512 };
const PROCESSES: readonly ProcessName[] = ['api', 'worker', 'relay'];
/** Those that take the most. */
const LARGEST = new Set(['skills.install', 'agents.update', 'secrets.store', 'messages.send']);
const HOSTILITIES: Deed[] = [
  { kind: 'bomb', of: 'lists', bytes: 60 * MEBIBYTE },
  { kind: 'bomb', of: 'text', bytes: 3 * MEBIBYTE },
  { kind: 'pour', perSecond: 10_000 },
];

/** What one customer notices of another one, on a stack of its own whose gateways are scripted ones. */
export const benchIsolation: Bench = async ({ say }) => {
  const [openClaw, provider] = await Promise.all([installScriptedOpenClaw(), startProvider()]);
  try {
    const stack = await startStack({ openClaw, env: { ...PRODUCT_LIMITS, MODEL_UPSTREAM_URL: provider.url } });
    try {
      return [...(await floods(stack, say)), ...(await stands(stack, say)), ...(await memory(stack, say))];
    } finally {
      await stack.close();
    }
  } finally {
    await Promise.all([openClaw.remove(), provider.close()]);
  }
};

type Say = (sentence: string) => void;

/** Reads and messages of one customer alone, and while another one floods with one thing at a time. */
async function floods(stack: StackUnderTest, say: Say): Promise<Row[]> {
  const neighbour = await newTenant(stack);
  await useAs(neighbour, WARM_UP_MS);
  const alone = await useAs(neighbour, ALONE_MS);
  const rows = (['read', 'message'] as const).map((kind): Row => {
    return { what: `${kind}, alone`, values: timesOf(alone, kind), unit: 'ms', goal: 'the baseline', reached: null };
  });
  for (const name of FLOOD_NAMES) {
    const flooding = await newTenant(stack);
    const flood = startFlood(name, flooding.place);
    const uses = await useAs(neighbour, FLOOD_MS);
    const answers = await flood.stop();
    await flooding.leave();
    say(`  ${name}: ${JSON.stringify(answers)}`);
    const failed = uses.filter(({ status }) => status !== 200).length;
    if (failed > 0) say(`  ${failed} calls of the other customer failed`);
    for (const kind of ['read', 'message'] as const) {
      const most = 2 * percentile(timesOf(alone, kind), 0.99);
      const values = timesOf(uses, kind);
      const reached = failed === 0 && percentile(values, 0.99) <= most;
      rows.push({
        what: `${kind}, while another account floods with ${name}`,
        values,
        unit: 'ms',
        goal: `p99 <= ${most.toFixed(0)}`,
        reached,
      });
    }
  }
  await neighbour.leave();
  return rows;
}

function timesOf(uses: readonly Use[], kind: Use['kind']): number[] {
  return uses.filter((use) => use.kind === kind).map(({ ms }) => ms);
}

/** How long single calls with the largest inputs keep API and relay from all else; the longest of them. */
async function stands(stack: StackUnderTest, say: Say): Promise<Row[]> {
  const tenant = await newTenant(stack);
  const measured = (name: ProcessName) => ({ metrics: async () => (await fetch(stack.metricsUrlOf(name))).text() });
  const prices: Record<'api' | 'relay', number[]> = { api: [], relay: [] };
  for (const [path, body] of apiCalls(tenant.place))
    prices.api.push(await priceOf(measured('api'), () => post(path, { 'x-api-key': tenant.place.apiKey }, body)));
  await tenant.leave();
  // Another one: what was stored may have restarted the gateway.
  const caller = await newTenant(stack);
  const { relayUrl, relayToken, model } = caller.place;
  for (const body of relayBodies(model))
    prices.relay.push(
      await priceOf(measured('relay'), () =>
        post(`${relayUrl}/chat/completions`, { authorization: `Bearer ${relayToken}` }, body),
      ),
    );
  await caller.leave();
  return Object.entries(prices).map(([name, values]): Row => {
    const longest = Math.max(...values);
    say(`  ${name}: ${values.length} inputs, longest stand ${longest.toFixed(0)} ms`);
    const what = `longest stand of the event loop, ${name}, ${values.length} largest inputs`;
    return { what, values: [longest], unit: 'ms', goal: `<= ${STAND_MS}`, reached: longest <= STAND_MS };
  });
}

function apiCalls({ url, instanceId, agentId }: TenantPlace): [string, string][] {
  return operations
    .filter(({ operationId }) => LARGEST.has(operationId))
    .flatMap((operation) => {
      const path = operation.path.replace(':instanceId', instanceId).replace(':agentId', agentId);
      return [...largestBodies(operation).values()].map((body): [string, string] => [`${url}/v1${path}`, body]);
    });
}

/** Each of nearly 8 MiB. */
function relayBodies(model: string): string[] {
  const within = (messages: string) => `{"model":${JSON.stringify(model)},"messages":[${messages}]}`;
  const said = (content: string) => JSON.stringify({ role: 'user', content });
  return [
    within(said('x'.repeat(7.9 * MEBIBYTE))),
    within(said('"'.repeat(3.9 * MEBIBYTE))),
    within(Array.from({ length: 60_000 }, () => said('x')).join(',')),
    within(`${'[],'.repeat(2.6 * MEBIBYTE)}[]`),
    within(`${'['.repeat(3.9 * MEBIBYTE)}${']'.repeat(3.9 * MEBIBYTE)}`),
  ];
}

async function post(url: string, headers: Record<string, string>, body: string): Promise<void> {
  const response = await fetch(url, {
    method: url.includes('/agents/') && !url.endsWith('/messages') ? 'PATCH' : 'POST',
    headers: { ...headers, 'content-type': 'application/json' },
    body,
    signal: AbortSignal.timeout(30_000),
  });
  await response.arrayBuffer();
}

/** What each process holds before, at most while, and after a gateway does its worst. */
async function memory(stack: StackUnderTest, say: Say): Promise<Row[]> {
  const tenant = await newTenant(stack);
  const now = async () =>
    Object.fromEntries(await Promise.all(PROCESSES.map(async (name) => [name, await residentMiB(stack.pidOf(name))] as const)));
  const before = await now();
  const most = { ...before };
  const control = controlScripted(tenant.place.stateDir);
  for (const deed of HOSTILITIES) {
    say(`  hostile: ${JSON.stringify(deed)}`);
    control.misbehave(deed, { survivesRestart: true });
    const until = performance.now() + HOSTILE_MS;
    // While it sends a turn, an API process hears the gateway too.
    const sending = tenant.account.call('POST', `/instances/${tenant.place.instanceId}/agents/${tenant.place.agentId}/messages`, {
      message: 'Hello',
      timeoutMs: HOSTILE_MS,
    });
    while (performance.now() < until) {
      for (const [name, held] of Object.entries(await now())) most[name] = Math.max(most[name] ?? 0, held);
      await sleep(100);
    }
    await sending;
    control.behave();
  }
  await tenant.leave();
  return PROCESSES.map((name): Row => {
    const [held, limit] = [most[name] ?? Number.NaN, MEMORY_LIMITS[name]];
    const what = `memory of ${name} while a gateway is hostile (${(before[name] ?? 0).toFixed(0)} before)`;
    return { what, values: [held], unit: 'MB', goal: `<= ${limit}`, reached: held <= limit };
  });
}
