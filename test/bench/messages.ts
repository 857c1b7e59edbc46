import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { connectGateway } from '../../runtime/openclaw/wire/gateway-client.ts';
import { gatewayToken } from '../../runtime/openclaw/install/tokens.ts';
import type { ApiClient } from '../support/api-client.ts';
import type { StackUnderTest } from '../support/stack-under-test.ts';
import { bareTurn, IDLE_MS } from './bare-turn.ts';
import type { TurnTimes } from './bare-turn.ts';
import type { Bench } from './bench.ts';
import { median } from './table.ts';

const MESSAGE = 'hello [[WORDS 10]]';
const TURNS = 40;
const ADDED_MS = 15;

/** A streamed message through the API against the same turn sent straight to the same gateway, in turns. */
export const benchMessages: Bench = async ({ stack }) => {
  const account = await stack.newAccount();
  const { instanceId } = await account.ok('POST', '/instances?wait=60', { name: 'bench' });
  const { agentId } = await account.ok('POST', `/instances/${instanceId}/agents`, { name: 'a', slug: 'agent', displayName: 'A' });
  const straight = await openStraight(stack, agentId);
  const path = `/instances/${instanceId}/agents/${agentId}/messages`;
  for (let warmUp = 0; warmUp < 3; warmUp += 1) {
    await straight.turn();
    await throughApi(account, path);
  }
  const ours: TurnTimes[] = [];
  const bare: TurnTimes[] = [];
  for (let turn = 0; turn < TURNS; turn += 1) {
    await sleep(IDLE_MS);
    bare.push(await straight.turn());
    await sleep(IDLE_MS);
    ours.push(await throughApi(account, path));
  }
  straight.close();
  await account.ok('DELETE', `/instances/${instanceId}`);
  const row = (what: string, field: keyof TurnTimes) => {
    const [baseline, values] = [bare, ours].map((turns) => turns.map((turn) => turn[field])) as [number[], number[]]; // two lists in, two lists out
    const added = median(values) - median(baseline);
    return [
      { what: `${what}: straight to the gateway`, values: baseline, unit: 'ms', goal: 'the baseline', reached: null },
      {
        what: `${what}: through the API`,
        values,
        unit: 'ms',
        goal: `<= ${ADDED_MS} added p50 (added ${added.toFixed(1)})`,
        reached: added <= ADDED_MS,
      },
    ] as const;
  };
  return [...row('first token', 'firstTokenMs'), ...row('answer', 'answerMs')];
};

async function throughApi(account: ApiClient, path: string): Promise<TurnTimes> {
  const startedAt = performance.now();
  const response = await account.raw('POST', path, { message: MESSAGE, stream: true });
  let firstTokenMs: number | null = null;
  const decoder = new TextDecoder();
  for await (const chunk of response.body ?? []) {
    if (firstTokenMs === null && /"content":"[^"]/.test(decoder.decode(chunk, { stream: true })))
      firstTokenMs = performance.now() - startedAt;
  }
  return { firstTokenMs: firstTokenMs ?? Number.NaN, answerMs: performance.now() - startedAt };
}

/** The same agent, by a connection of our own to its gateway. */
export async function openStraight(stack: StackUnderTest, agentId: string) {
  const database = new Client({ connectionString: stack.databaseUrl });
  await database.connect();
  const { rows } = await database.query<{ runtime_id: string; gateway_agent_id: string }>(
    'select runtime_id, gateway_agent_id from agents join instances on instances.id = instance_id where agents.id = $1',
    [agentId],
  );
  await database.end();
  const [row] = rows;
  const endpoint = row && (await stack.driver.endpoint(row.runtime_id));
  if (!endpoint) throw new Error('the gateway does not run');
  const token = gatewayToken(stack.masterKey, row.runtime_id);
  const client = await connectGateway({ wsUrl: endpoint.wsUrl, token, signal: AbortSignal.timeout(10_000), timeoutMs: 10_000 });
  return { turn: () => bareTurn(client, row.gateway_agent_id, MESSAGE), close: () => client.close() };
}
