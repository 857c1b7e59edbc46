import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { claimAttempt, findClaimedTurn } from '../../database/messages/claim-turn.ts';
import { sendTurn, turnKey } from '../../runtime/openclaw/conversation/agent-turn.ts';
import { readHistory } from '../../runtime/openclaw/conversation/gateway-history.ts';
import { killPid } from '../../runtime/host/process-identity.ts';
import type { AcceptedTurn } from '../../turns/accept-turn.ts';
import { endTurnFirst, handOverTurns } from '../../turns/end-turns.ts';
import { takeUpTurns } from '../../turns/take-up-turns.ts';
import { cancelledEnd } from '../../turns/turn-end.ts';
import { eventually, TEST_LIMIT_MS } from '../support/eventually.ts';
import { startGateway } from '../support/gateway-under-test.ts';
import type { GatewayUnderTest } from '../support/gateway-under-test.ts';
import { collect, startApi, startWatch } from './processes-under-test.ts';
import type { ApiUnderTest } from './processes-under-test.ts';
import { openTurns } from './turns-under-test.ts';
import type { NewAgent } from '../factories.ts';
import type { TurnsUnderTest } from './turns-under-test.ts';

/** The first turn of a gateway takes long on a busy machine. */
/** What the gateway adds when it repeats a turn by itself. */
const INTERRUPTED = '[System] Your previous turn was interrupted';

let turns: TurnsUnderTest;
let gateway: GatewayUnderTest;
let instance: NewAgent;
let api: ApiUnderTest;
const open: { close(): Promise<void> }[] = [];

beforeAll(async () => {
  [turns, gateway] = await Promise.all([openTurns(), startGateway()]);
});
afterAll(async () => {
  await gateway.close();
  await turns.close();
});
beforeEach(async () => {
  const { bootId } = await gateway.connect();
  instance = await turns.newInstance({ runtimeId: gateway.runtimeId, bootId, gatewayAgentId: 'alpha' });
  api = await startApi(turns, gateway);
  open.push(api);
});
afterEach(async () => {
  await Promise.all(open.splice(0).map((one) => one.close()));
});

const callsWith = (text: string) => gateway.model.calls.filter(({ lastUserText }) => lastUserText.includes(text));
const finishedCalls = (text: string) =>
  callsWith(text).flatMap(({ finished, lastUserText, traceparent }) => (finished ? [{ lastUserText, traceparent }] : []));
const modelCalled = (text: string) => gateway.model.waitForCall(({ lastUserText }) => lastUserText.includes(text));
const say = (text: string, sessionId: string) => api.say(instance, { text, sessionId });

async function setInstance(assignment: string): Promise<number> {
  const [row] = await turns.rows<{ epoch: number }>(
    `update instances set ${assignment} where id = ? returning epoch::float8 as epoch`,
    [instance.instanceId],
  );
  return row!.epoch;
}

/** A turn that the gateway has accepted from a process which does not listen. */
async function sendUnheard(text: string, sessionId: string): Promise<AcceptedTurn> {
  const owner = await turns.newProcess();
  const accepted = await turns.accept(instance, { owner, text, sessionId, claims: true });
  const { messageId, conversationId } = accepted;
  const turn = await findClaimedTurn(turns.orm.em.fork(), { messageId, owner });
  const sent = await sendTurn(await gateway.connect(), {
    key: turnKey(messageId, 1),
    agentId: 'alpha',
    sessionKey: `agent:alpha:conv:${conversationId}`,
    message: turn!.text,
    saidAt: new Date(turn!.saidAtMs),
    traceId: turn!.traceId,
    timeoutSeconds: 60,
  });
  expect(sent).toEqual({ kind: 'accepted' });
  return accepted;
}

/** What the control plane does once the gateway is gone: starts it again, takes the turns up, publishes, watches. */
async function recover(onReady?: () => Promise<unknown>): Promise<void> {
  const epoch = await setInstance(`boot_id = null, status = 'provisioning', transition_kind = 'recovering', epoch = epoch + 1`);
  await gateway.start();
  await onReady?.();
  const client = await gateway.connect();
  const takeUp = { client, instanceId: instance.instanceId, epoch, signal: AbortSignal.timeout(TEST_LIMIT_MS) };
  await takeUpTurns(turns.deps, takeUp);
  // A step that is repeated changes nothing.
  await takeUpTurns(turns.deps, takeUp);
  await setInstance(`boot_id = '${client.bootId}', status = 'running', transition_kind = null`);
  open.push(await startWatch(turns, gateway, instance));
}

async function expectOneReply(messageId: string, content: string): Promise<void> {
  expect(await turns.end(messageId)).toMatchObject({ status: 'completed', content });
  expect(await turns.events(messageId)).toEqual([{ type: 'agent.message', content, error_code: null }]);
}

const rowOf = async (messageId: string) => {
  const [row] = await turns.rows<{ attempt: number; deaths: number; abort_due: boolean }>(
    'select attempt, deaths, abort_due from messages where id = ?',
    [messageId],
  );
  return row!;
};

describe('a gateway that is killed', () => {
  test(
    'loses no turn at any point of its way, answers each once, and goes on with none that was ended',
    async () => {
      const claimed = await turns.accept(instance, {
        owner: api.sender.owner(),
        text: 'p1 claimed [[SAY One.]]',
        sessionId: 'p1',
      });
      const claimant = { kind: 'process', owner: api.sender.owner() } as const;
      await claimAttempt(turns.orm.em.fork(), { messageId: claimed.messageId, attempt: 0, next: 1, claimant });
      const streaming = await say('p2 streaming [[WORDS 5]] [[HOLD p2 2]]', 'p2');
      const waiting = await say('p3 waiting [[SAY Three.]]', 'p2');
      const finished = await say('p4 finished [[SAY Four.]] [[HOLD p4]]', 'p4');
      const cancelled = await say('p5 cancelled [[WORDS 5]] [[HOLD p5 2]]', 'p5');
      const [, p4] = await Promise.all([modelCalled('p2 streaming'), modelCalled('p4 finished'), modelCalled('p5 cancelled')]);
      const pieces = collect(streaming.followed);
      // From here on nobody hears the gateway.
      const deaf = setInterval(() => api.connections.close(gateway.runtimeId), 1);
      gateway.model.release('p4');
      await eventually(() => expect(p4.finished).toBe(true));
      const { conversationId } = await turns.turn(finished.messageId);
      await eventually(async () => {
        const history = await (
          await gateway.connect()
        ).request('chat.history', { sessionKey: `agent:alpha:conv:${conversationId}` });
        expect(JSON.stringify(history)).toContain('"status":"done"');
      });
      await endTurnFirst(turns.deps, cancelled.messageId, cancelledEnd());

      await gateway.kill();
      clearInterval(deaf);
      await recover();
      gateway.model.release('p2');

      await expectOneReply(claimed.messageId, 'One.');
      await expectOneReply(streaming.messageId, 'w1 w2 w3 w4 w5');
      await expectOneReply(waiting.messageId, 'Three.');
      await expectOneReply(finished.messageId, 'Four.');
      expect((await pieces).join('')).toBe('w1 w2 w3 w4 w5');
      expect(await waiting.followed.ended).toMatchObject({ content: 'Three.' });
      expect(['p1', 'p2', 'p3', 'p4'].map((name) => callsWith(`${name} `).length)).toEqual([1, 2, 1, 1]);
      await eventually(async () => expect(await rowOf(cancelled.messageId)).toMatchObject({ abort_due: false }));
      gateway.model.release('p5');
      expect(await turns.turn(cancelled.messageId)).toMatchObject({ status: 'cancelled', content: '' });
      expect(finishedCalls('p5 ')).toEqual([]);
      expect(await rowOf(streaming.messageId)).toMatchObject({ attempt: 1, deaths: 1 });

      const after = await say('p5 after [[SAY Goes on.]]', 'p5');
      await expectOneReply(after.messageId, 'Goes on.');
    },
    TEST_LIMIT_MS,
  );

  test(
    'just after it accepted a turn, or while it queued one behind another that was cancelled, has it sent under a new key',
    async () => {
      const running = await say('q1 running [[WORDS 5]] [[HOLD q1 2]]', 'q1');
      const queued = await say('q2 queued [[SAY Second.]]', 'q1');
      await modelCalled('q1 running');
      await endTurnFirst(turns.deps, running.messageId, cancelledEnd());
      await eventually(async () => expect(await rowOf(queued.messageId)).toMatchObject({ attempt: 1 }));
      const accepted = await sendUnheard('q3 accepted [[SAY Third.]]', 'q3');

      await gateway.kill();
      await recover();
      gateway.model.release('q1');

      await expectOneReply(accepted.messageId, 'Third.');
      await expectOneReply(queued.messageId, 'Second.');
      // It may have come as far as the model before it was killed.
      expect(callsWith('q3 accepted').length).toBeLessThanOrEqual(2);
      expect(finishedCalls('q3 accepted').length).toBeLessThanOrEqual(1);
      expect(await turns.turn(running.messageId)).toMatchObject({ status: 'cancelled', content: '' });
      await eventually(async () => expect(await rowOf(running.messageId)).toMatchObject({ abort_due: false }));
      expect(await turns.events(running.messageId)).toHaveLength(1);
    },
    TEST_LIMIT_MS,
  );

  test(
    'and whose start step comes late: what the gateway repeats by itself is the turn, and of an ended one it is never reported',
    async () => {
      const turn = await say('t1 late [[WORDS 4]] [[HOLD t1 2]]', 't1');
      const cancelled = await say('t2 late [[WORDS 4]] [[HOLD t2 2]]', 't2');
      await Promise.all([modelCalled('t1 late'), modelCalled('t2 late')]);
      await endTurnFirst(turns.deps, cancelled.messageId, cancelledEnd());
      await gateway.kill();

      // Of one of the two: the gateway repeats one turn at a time, and this one is held as the first was.
      await recover(() => gateway.model.waitForCall(({ messages }) => JSON.stringify(messages).includes(INTERRUPTED)));
      gateway.model.release('t1');

      const ended = await turns.end(turn.messageId);
      expect(ended.status).toBe('completed');
      expect(ended.content).not.toBe('');
      expect(await turns.events(turn.messageId)).toEqual([{ type: 'agent.message', content: ended.content, error_code: null }]);
      expect(await turn.followed.ended).toMatchObject({ status: 'completed', content: ended.content });
      await eventually(async () => expect(await rowOf(cancelled.messageId)).toMatchObject({ abort_due: false }));
      expect(await turns.turn(cancelled.messageId)).toMatchObject({ status: 'cancelled', content: '' });
      expect(await turns.events(cancelled.messageId)).toHaveLength(1);
    },
    TEST_LIMIT_MS,
  );

  test(
    'between the answer and its end: the answer counts, and the gateway does not run the turn again',
    async () => {
      const { messageId, conversationId } = await sendUnheard('u1 finishing [[SAY Five.]] [[HOLD u1]]', 'u1');
      await modelCalled('u1 finishing');
      const [client, pid] = [await gateway.connect(), await gateway.pid()];
      client.onEvent((event) => {
        if (event.kind === 'other' && event.phase === 'finishing') killPid(pid, 'SIGKILL');
      });
      gateway.model.release('u1');
      await client.closed;
      // Its sockets close before it is gone, and a start would take up what still dies.
      await gateway.kill();
      gateway.model.hold('u1');
      await recover();

      await expectOneReply(messageId, 'Five.');
      await eventually(async () => expect(await rowOf(messageId)).toMatchObject({ abort_due: false }));
      const next = await gateway.connect();
      const history = () => readHistory(next, { sessionKey: `agent:alpha:conv:${conversationId}`, keys: [] });
      await eventually(async () => expect((await history()).status).not.toBe('running'));
      expect(finishedCalls('u1 finishing')).toHaveLength(1);
      const behind = await say('u2 behind [[SAY Six.]]', 'u1');
      await expectOneReply(behind.messageId, 'Six.');
    },
    TEST_LIMIT_MS,
  );

  test(
    'twice during the same turn ends it as gateway_crashed, and the gateway does not run it a third time',
    async () => {
      const { messageId, followed } = await say('r1 deadly [[WORDS 5]] [[HOLD r1 2]]', 'r1');
      const behind = await say('r2 behind [[SAY Alive.]]', 'r1');
      const pieces = collect(followed);
      const call = await modelCalled('r1 deadly');

      await gateway.kill();
      await recover();
      await gateway.model.waitForCall((other) => other !== call && other.lastUserText.includes('r1 deadly'));
      await Promise.all(open.splice(1).map((one) => one.close()));
      await gateway.kill();
      await recover();

      expect(await followed.ended).toMatchObject({ status: 'failed', errorReason: 'gateway_crashed', content: '' });
      expect(await turns.events(messageId)).toEqual([{ type: 'agent.error', content: null, error_code: 'gateway_crashed' }]);
      await pieces;
      await expectOneReply(behind.messageId, 'Alive.');
      await eventually(async () => expect(await rowOf(messageId)).toMatchObject({ abort_due: false, deaths: 2 }));
      gateway.model.release('r1');
      const next = await say('r3 next [[SAY Well.]]', 'r1');
      await expectOneReply(next.messageId, 'Well.');
      expect(finishedCalls('r1 deadly')).toEqual([]);
      expect(await turns.events(messageId)).toHaveLength(1);
    },
    2 * TEST_LIMIT_MS,
  );
});

test(
  'a message that begins with a slash is text again when its turn is sent again to a new gateway',
  async () => {
    const first = await say('Remember 4711. [[SAY Noted.]]', 'v1');
    await expectOneReply(first.messageId, 'Noted.');
    const { messageId } = await say('/new v1 slash [[WORDS 4]] [[HOLD v1 2]]', 'v1');
    await modelCalled('v1 slash');

    await gateway.kill();
    await recover();
    gateway.model.release('v1');

    await expectOneReply(messageId, 'w1 w2 w3 w4');
    expect(callsWith('/new v1 slash')).toHaveLength(2);
    for (const { messages } of callsWith('v1 slash')) expect(JSON.stringify(messages)).toContain('Remember 4711.');
  },
  TEST_LIMIT_MS,
);

test(
  'a gateway that is restarted on purpose goes on with its turns and counts no death',
  async () => {
    const { messageId, followed } = await say('s1 restarted [[WORDS 4]] [[HOLD s1 2]]', 's1');
    await modelCalled('s1 restarted');
    await setInstance(`transition_kind = 'restarting'`);

    await gateway.stop(1_000);
    await handOverTurns(turns.orm.em.fork(), instance.instanceId);
    await recover();
    gateway.model.release('s1');

    await expectOneReply(messageId, 'w1 w2 w3 w4');
    expect(await followed.ended).toMatchObject({ status: 'completed' });
    expect(await rowOf(messageId)).toMatchObject({ deaths: 0 });
  },
  TEST_LIMIT_MS,
);
