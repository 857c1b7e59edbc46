import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { findClaimedTurn } from '../../database/messages/claim-turn.ts';
import { sendTurn } from '../../runtime/openclaw/conversation/agent-turn.ts';
import { turnKey } from '../../runtime/openclaw/conversation/turn-key.ts';
import { readHistory } from '../../runtime/openclaw/conversation/gateway-history.ts';
import { handOverTurns } from '../../database/messages/stamp-turns.ts';
import { endTurnFirst } from '../../turns/end-turns.ts';
import { cancelledEnd } from '../../turns/turn-end.ts';
import { eventually, PATIENCE_MS } from '../support/eventually.ts';
import { AGENT } from '../support/gateway-program.ts';
import type { GatewayUnderTest } from '../support/gateway-program.ts';
import { countAnswers } from '../support/scripted-gateway/scripted-control.ts';
import type { ScriptedControl } from '../support/scripted-gateway/scripted-control.ts';
import { startScripted } from '../support/scripted-gateway/start-scripted.ts';
import { collect } from './processes-under-test.ts';
import { instanceToRecover } from './recovery-under-test.ts';
import type { InstanceToRecover } from './recovery-under-test.ts';
import { openTurns } from './turns-under-test.ts';
import type { TurnsUnderTest } from './turns-under-test.ts';

// What a real gateway does to its turns when it is killed: lost-gateway.test.ts, recovery.test.ts and, for what the
// scripted one does here, gateway-conformance.test.ts.

let turns: TurnsUnderTest;
let gateway: GatewayUnderTest;
let control: ScriptedControl;
let instance: InstanceToRecover;

beforeAll(async () => {
  turns = await openTurns();
});
afterAll(() => turns.close());
beforeEach(async () => {
  ({ gateway, control } = await startScripted());
  instance = await instanceToRecover(turns, gateway);
});
afterEach(async () => {
  await instance.close();
  await gateway.close();
});

const sessionKeyOf = async (messageId: string) => `agent:${AGENT}:conv:${(await turns.turn(messageId)).conversationId}`;

/** The runs of this conversation that gateways have begun, in order. */
async function runsOf(messageId: string): Promise<string[]> {
  const sessionKey = await sessionKeyOf(messageId);
  const begun = control.journal().filter((one) => one.what === 'began' && one.sessionKey === sessionKey);
  return begun.map(({ runId = '' }) => runId);
}

const begun = (messageId: string, times = 1) =>
  eventually(async () => expect((await runsOf(messageId)).length).toBeGreaterThanOrEqual(times));

/** A turn that the gateway has accepted from a process which does not listen. */
async function sendUnheard(text: string, sessionId: string): Promise<string> {
  const owner = await turns.newProcess();
  const { messageId } = await turns.accept(instance.agent, { owner, text, sessionId, claims: true });
  const turn = await findClaimedTurn(turns.orm.em.fork(), { messageId, owner });
  const sent = await sendTurn(await gateway.connect(), {
    key: turnKey(messageId, 1),
    agentId: AGENT,
    sessionKey: await sessionKeyOf(messageId),
    message: turn!.text,
    saidAt: new Date(turn!.saidAtMs),
    traceId: turn!.traceId,
    timeoutSeconds: PATIENCE_MS / 1_000,
  });
  expect(sent).toEqual({ kind: 'accepted' });
  return messageId;
}

describe('a gateway that is killed', () => {
  test('just after it accepted a turn, or while it queued one behind another that was cancelled, has it sent under a new key', async () => {
    const running = await instance.say('[[WORDS 5]] [[HOLD running 2]]', 'one');
    const queued = await instance.say('[[SAY Second.]]', 'one');
    await begun(running.messageId);
    await endTurnFirst(turns.deps, running.messageId, cancelledEnd());
    await eventually(async () => expect(await instance.countsOf(queued.messageId)).toMatchObject({ attempt: 1 }));
    control.misbehave({ kind: 'never-begin' });
    const accepted = await sendUnheard('[[SAY Third.]]', 'other');

    await gateway.kill();
    await instance.recover();
    control.release('running');

    await instance.expectOneReply(accepted, 'Third.');
    await instance.expectOneReply(queued.messageId, 'Second.');
    expect(await runsOf(accepted)).toEqual([turnKey(accepted, 2)]);
    expect((await runsOf(queued.messageId)).filter((runId) => runId.startsWith(queued.messageId))).toEqual([
      turnKey(queued.messageId, 2),
    ]);
    await instance.stopped(running.messageId);
    expect(await turns.turn(running.messageId)).toMatchObject({ status: 'cancelled', content: '' });
    expect(await turns.events(running.messageId)).toHaveLength(1);
  });

  test('and whose start step comes late: what the gateway repeats by itself is the turn, and of an ended one it is never reported', async () => {
    const turn = await instance.say('[[WORDS 4]] [[HOLD late 2]]', 'one');
    const cancelled = await instance.say('[[WORDS 4]] [[HOLD never 2]]', 'other');
    await Promise.all([begun(turn.messageId), begun(cancelled.messageId)]);
    await endTurnFirst(turns.deps, cancelled.messageId, cancelledEnd());
    await gateway.kill();

    await instance.recover(() => Promise.all([begun(turn.messageId, 2), begun(cancelled.messageId, 2)]));
    control.release('late');

    await instance.expectOneReply(turn.messageId, 'w1 w2 w3 w4');
    expect(await turn.followed.ended).toMatchObject({ status: 'completed', content: 'w1 w2 w3 w4' });
    expect(countAnswers(control, turn.messageId)).toBe(0);
    expect(await runsOf(turn.messageId)).toHaveLength(2);
    await instance.stopped(cancelled.messageId);
    expect(await turns.turn(cancelled.messageId)).toMatchObject({ status: 'cancelled', content: '' });
    expect(await turns.events(cancelled.messageId)).toHaveLength(1);
  });

  test('between the answer and its end: the answer counts, and the gateway does not run the turn again', async () => {
    control.misbehave({ kind: 'die', at: 'end' });
    const listening = await gateway.connect();
    const messageId = await sendUnheard('[[SAY Five.]]', 'one');
    await listening.closed;
    // Its sockets close before it is gone, and a start would take up what still dies.
    await gateway.kill();
    control.misbehave({ kind: 'hang' }, { survivesRestart: true });
    await instance.recover();

    await instance.expectOneReply(messageId, 'Five.');
    await instance.stopped(messageId);
    const next = await gateway.connect();
    const sessionKey = await sessionKeyOf(messageId);
    await eventually(async () => expect((await readHistory(next, { sessionKey, keys: [] })).status).not.toBe('running'));
    control.behave();
    const behind = await instance.say('[[SAY Six.]]', 'one');
    await instance.expectOneReply(behind.messageId, 'Six.');
    expect(control.journal().filter(({ what }) => what === 'answered')).toMatchObject([{ runId: behind.messageId }]);
  });

  test('twice during the same turn ends it as gateway_crashed, and the gateway does not run it a third time', async () => {
    const { messageId, followed } = await instance.say('[[WORDS 5]] [[HOLD deadly 2]]', 'one');
    const behind = await instance.say('[[SAY Alive.]]', 'one');
    const pieces = collect(followed);
    await begun(messageId);

    await gateway.kill();
    await instance.recover();
    await begun(messageId, 2);
    await gateway.kill();
    await instance.recover();

    expect(await followed.ended).toMatchObject({ status: 'failed', errorReason: 'gateway_crashed', content: '' });
    expect(await turns.events(messageId)).toEqual([{ type: 'agent.error', content: null, error_code: 'gateway_crashed' }]);
    await pieces;
    await instance.expectOneReply(behind.messageId, 'Alive.');
    await instance.stopped(messageId);
    expect(await instance.countsOf(messageId)).toMatchObject({ deaths: 2 });
    control.release('deadly');
    const next = await instance.say('[[SAY Well.]]', 'one');
    await instance.expectOneReply(next.messageId, 'Well.');
    expect(countAnswers(control, messageId)).toBe(0);
    expect(await turns.events(messageId)).toHaveLength(1);
  });
});

test('a gateway that is restarted on purpose goes on with its turns and counts no death', async () => {
  const { messageId, followed } = await instance.say('[[WORDS 4]] [[HOLD restarted 2]]', 'one');
  await begun(messageId);
  await instance.set(`transition_kind = 'restarting'`);

  await gateway.stop(1_000);
  await handOverTurns(turns.orm.em.fork(), instance.agent.instanceId);
  await instance.recover();
  control.release('restarted');

  await instance.expectOneReply(messageId, 'w1 w2 w3 w4');
  expect(await followed.ended).toMatchObject({ status: 'completed' });
  expect(await instance.countsOf(messageId)).toMatchObject({ deaths: 0 });
});
