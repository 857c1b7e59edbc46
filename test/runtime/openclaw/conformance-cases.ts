import { z } from 'zod';
import { abortTurn, sendTurn } from '../../../runtime/openclaw/conversation/agent-turn.ts';
import type { TurnRequest } from '../../../runtime/openclaw/conversation/agent-turn.ts';
import { waitForAgents } from '../../../runtime/openclaw/content/agent-liveness.ts';
import type { GatewayClient, GatewayEvent } from '../../../runtime/openclaw/wire/gateway-client.ts';
import { GatewayRequestError } from '../../../runtime/gateway/gateway-errors.ts';
import { readHistory } from '../../../runtime/openclaw/conversation/gateway-history.ts';
import type { HistoryRow } from '../../../runtime/openclaw/conversation/gateway-history.ts';
import { probeReadiness } from '../../../runtime/openclaw/wire/readiness.ts';
import { decideRecovery } from '../../../runtime/openclaw/conversation/recovery.ts';
import { readSkills } from '../../../runtime/openclaw/content/skill-liveness.ts';
import { proveTurns } from '../../../runtime/openclaw/conversation/turn-proof.ts';
import { listSessionsSince, unpromptedRuns } from '../../../runtime/openclaw/conversation/unprompted-runs.ts';
import { eventually, PATIENCE_MS } from '../../support/eventually.ts';
import { AGENT } from '../../support/gateway-program.ts';
import { OTHER_AGENT } from './turns-under-test.ts';
import type { GatewayUnderTest } from '../../support/gateway-program.ts';
import { listen, send, turnOf } from './turns-under-test.ts';

/** One of the two gateways that are compared. */
export interface Subject {
  gateway: GatewayUnderTest;
  client: GatewayClient;
  /** Lets every answer that is held under this name go on. */
  release(name: string): void;
}

/** What our own code reads of a gateway, without what differs from one run to the next. */
export type Observe = (subject: Subject) => Promise<unknown>;

const never = new AbortController().signal;
const deletion = z.looseObject({ deleted: z.boolean() });

export async function refusalOf(call: Promise<unknown>): Promise<unknown> {
  try {
    return { answered: await call };
  } catch (error) {
    if (error instanceof GatewayRequestError) return { code: error.code, retryable: error.retryable };
    throw error;
  }
}

/** Rows of the gateway's own, such as notices, are not compared: nobody reads them. */
export async function historyOf(client: GatewayClient, { sessionKey }: TurnRequest, ...keys: string[]): Promise<unknown> {
  const history = await readHistory(client, { sessionKey, keys });
  return {
    isKnown: history.sessionId !== null,
    rows: history.rows.filter(({ role }) => role === 'user' || role === 'assistant').map(rowOf),
    inFlightRun: history.inFlightRun,
    status: history.status,
    lastRunId: history.lastRunId,
    pendingInputs: history.pendingInputs.filter(({ runId }) => keys.includes(runId)),
    inputReceipts: history.inputReceipts,
    decisions: keys.map((key) => decisionOf(decideRecovery(history, key))),
    unprompted: unpromptedRuns(history, (runId) => runId.startsWith('msg_')).length,
  };
}

export function decisionOf(recovery: ReturnType<typeof decideRecovery>): unknown {
  if (recovery.kind === 'failed') return { kind: 'failed', reason: recovery.reason };
  return recovery.kind === 'running' ? { ...recovery, runKey: isOurs(recovery.runKey) ? recovery.runKey : 'its own' } : recovery;
}

const isOurs = (runId: string | null): boolean => runId?.startsWith('msg_') ?? false;

function rowOf({ role, text, key, runId, stopReason, callsTool, aborted, restartsRun, customType }: HistoryRow): unknown {
  const isError = stopReason === 'error';
  const own = (id: string | null): string | null => (id === null || isOurs(id) ? id : 'its own');
  return {
    ...{ role, stopReason, callsTool, aborted, restartsRun, customType },
    text: isError || restartsRun ? '' : text,
    key: own(key),
    runId: own(runId),
  };
}

/** The kinds of events of a run as they first came: how many deltas there are, and between what, depends on the time. */
function kindsOf(events: readonly GatewayEvent[]): string[] {
  return [...new Set(events.map(({ kind }) => kind).filter((kind) => kind !== 'other'))];
}

const withoutText = (result: unknown): unknown =>
  JSON.parse(JSON.stringify(result, (name, value: unknown) => (name === 'message' ? undefined : value)));

async function settled(client: GatewayClient, turn: TurnRequest): Promise<void> {
  await eventually(async () => {
    const { status } = await readHistory(client, { sessionKey: turn.sessionKey, keys: [] });
    if (status === null || status === 'running') throw new Error('It still runs');
  });
}

async function observeTurn(client: GatewayClient, turn: TurnRequest): Promise<unknown> {
  const heard = listen(client);
  const { first, result } = await send(client, turn);
  const end = await result;
  const live = await heard.endOf(turn.key);
  await settled(client, turn);
  const events = heard.of(turn.key);
  const ended = events.findIndex(({ kind }) => kind === 'final' || kind === 'error');
  return {
    ...{ first, end: withoutText(end), live: withoutText(live), kinds: kindsOf(events.slice(0, ended + 1)) },
    sessionKeys: [...new Set(events.flatMap((event) => ('sessionKey' in event ? [event.sessionKey] : [])))],
    texts: events.flatMap((event) => (event.kind === 'delta' ? [event.text] : [])).at(-1),
    phases: [...new Set(events.flatMap((event) => (event.kind === 'other' && event.stream === 'tool' ? [event.phase] : [])))]
      .filter((phase) => phase !== 'update')
      .toSorted((one, other) => String(one).localeCompare(String(other))),
    history: await historyOf(client, turn, turn.key),
    again: withoutText(await sendTurn(client, turn)),
  };
}

/** In order: each goes on where the one before ended. */
export const CASES: ReadonlyArray<readonly [string, Observe]> = [
  [
    'readiness and agents',
    async ({ gateway, client }) => {
      const endpoint = await gateway.endpoint();
      await waitForAgents(
        endpoint,
        gateway.token,
        { present: [AGENT], absent: [OTHER_AGENT] },
        { signal: never, deadlineMs: PATIENCE_MS },
      );
      await gateway.setAgents([AGENT, OTHER_AGENT]);
      await waitForAgents(
        endpoint,
        gateway.token,
        { present: [OTHER_AGENT], absent: [] },
        { signal: never, deadlineMs: PATIENCE_MS },
      );
      const health = await fetch(`${endpoint.httpUrl}/healthz`);
      const unknown = await fetch(`${endpoint.httpUrl}/v1/models/openclaw%2F${AGENT}`);
      const { bundled, custom } = await readSkills(client, AGENT);
      return { ready: await probeReadiness(endpoint, PATIENCE_MS), statuses: [health.status, unknown.status], bundled, custom };
    },
  ],
  ['a conversation that is not known', ({ client }) => historyOf(client, turnOf('conv_none', 'msg_none', ''), 'msg_none')],
  ['a turn', ({ client }) => observeTurn(client, turnOf('conv_turn', 'msg_turn', '[[WORDS 3]] [[DELAY 100]] one'))],
  ['the next turn', ({ client }) => observeTurn(client, turnOf('conv_turn', 'msg_next', '[[SAY two words]]'))],
  [
    'a turn with a tool',
    ({ client }) =>
      observeTurn(
        client,
        turnOf('conv_tool', 'msg_tool', '[[FIRST Let me look.]] [[TOOL exec {"command":"echo found","yieldMs":120000}]] look'),
      ),
  ],
  ['a turn that fails at the model', ({ client }) => observeTurn(client, turnOf('conv_fail', 'msg_fail', '[[FAIL 400]] fails'))],
  [
    'a turn that runs, one that waits behind it, and their aborts',
    async ({ client }) => {
      const heard = listen(client);
      const running = turnOf('conv_queue', 'msg_running', '[[WORDS 4]] [[HOLD queue 2]] held');
      const waiting = turnOf('conv_queue', 'msg_waiting', '[[SAY never]]');
      const first = await send(client, running);
      await heard.seen(running.key, (event) => event.kind === 'delta' && event.text === 'w1 w2');
      const again = await sendTurn(client, running);
      const second = await send(client, waiting);
      const keys = [running.key, waiting.key];
      const atWork = await historyOf(client, running, ...keys);
      const unknown = await abortTurn(client, { ...running, key: 'msg_unknown' });
      const abortedWaiting = await abortTurn(client, waiting);
      const endOfWaiting = await second.result;
      const abortedRunning = await abortTurn(client, running);
      const endOfRunning = [await first.result, await heard.endOf(running.key)];
      await settled(client, running);
      return {
        ...{ first: first.first, again, second: second.first, atWork, unknown, abortedWaiting, abortedRunning },
        ...{ endOfWaiting, endOfRunning: withoutText(endOfRunning), after: await historyOf(client, running, ...keys) },
        spent: [withoutText(await sendTurn(client, running)), withoutText(await sendTurn(client, waiting))],
      };
    },
  ],
  [
    'requests that are not taken',
    async ({ client }) => ({
      agent: withoutText(
        await sendTurn(client, { ...turnOf('conv_x', 'msg_x', 'Hello'), agentId: 'nope', sessionKey: 'agent:nope:conv:x' }),
      ),
      params: await refusalOf(client.request('agent', { nope: 1 })),
      method: await refusalOf(client.request('no.such.method', {})),
    }),
  ],
  [
    'conversations that are archived, reset, listed and grouped',
    async ({ client }) => {
      const turn = turnOf('conv_shelf', 'msg_shelf', '[[SAY kept]]');
      await (
        await send(client, turn)
      ).result;
      await settled(client, turn);
      const { sessionId } = await readHistory(client, { sessionKey: turn.sessionKey, keys: [] });
      await eventually(() =>
        client.request('sessions.patch', { key: turn.sessionKey, archived: true, expectedSessionId: sessionId }),
      );
      const raw = { agentId: AGENT, sessionKey: turn.sessionKey, message: 'x', idempotencyKey: 'msg_raw', deliver: false };
      const archived = await refusalOf(client.request('agent', raw));
      const restored = await send(client, turnOf('conv_shelf', 'msg_restored', '[[SAY restored]]'));
      const answer = await restored.result;
      await settled(client, turn);
      const since = (await listSessionsSince(client, 0))
        .map(({ session }) => session.key)
        .filter((key) => key.startsWith(`agent:${AGENT}:conv:`));
      await client.request('sessions.reset', { key: turn.sessionKey });
      return {
        ...{ archived, restored: restored.first, answer, since: since.toSorted() },
        reset: await historyOf(client, turn, turn.key),
        proof: [await proveTurns(client, never), await proveTurns(client, never)],
      };
    },
  ],
  [
    'a conversation that is deleted, twice, and begins anew',
    async ({ client }) => {
      const turn = turnOf('conv_gone', 'msg_gone', '[[SAY gone]]');
      await (
        await send(client, turn)
      ).result;
      await settled(client, turn);
      const forget = async (): Promise<unknown> => {
        const answer = await eventually(() => client.request('sessions.delete', { key: turn.sessionKey }));
        return deletion.parse(answer).deleted;
      };
      const deleted = [await forget(), await historyOf(client, turn, turn.key), await forget()];
      const next = turnOf('conv_gone', 'msg_anew', '[[SAY anew]]');
      const anew = await (await send(client, next)).result;
      await settled(client, next);
      return { deleted, anew, history: await historyOf(client, next, next.key) };
    },
  ],
];
