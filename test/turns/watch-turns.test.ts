import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { claimAttempt } from '../../database/messages/claim-turn.ts';
import { SHARD_OWNER } from '../../database/messages/pending-turns.ts';
import { sendTurn } from '../../runtime/openclaw/conversation/agent-turn.ts';
import { turnKey } from '../../runtime/openclaw/conversation/turn-key.ts';
import { endTurnFirst } from '../../turns/end-turns.ts';
import { cancelledEnd } from '../../turns/turn-end.ts';
import { eventually, PATIENCE_MS } from '../support/eventually.ts';
import { AGENT, borrowGateway } from '../support/gateway-under-test.ts';
import type { GatewayUnderTest } from '../support/gateway-under-test.ts';
import { heard, startApi, startWatch } from './processes-under-test.ts';
import type { ApiUnderTest } from './processes-under-test.ts';
import { openTurns } from './turns-under-test.ts';
import type { NewAgent } from '../factories.ts';
import type { TurnsUnderTest } from './turns-under-test.ts';

let turns: TurnsUnderTest;
let gateway: GatewayUnderTest;
let instance: NewAgent;
const open: { close(): Promise<void> }[] = [];

beforeAll(async () => {
  [turns, gateway] = await Promise.all([openTurns(), borrowGateway()]);
});
afterAll(async () => {
  await gateway.close();
  await turns.close();
});
beforeEach(async () => {
  const { bootId } = await gateway.connect();
  instance = await turns.newInstance({ runtimeId: gateway.runtimeId, bootId, gatewayAgentId: AGENT });
});
afterEach(async () => {
  await Promise.all(open.splice(0).map((one) => one.close()));
});

async function newApi(): Promise<ApiUnderTest> {
  const api = await startApi(turns, gateway);
  open.push(api);
  return api;
}
async function watch(options: { turnTimeoutMs?: number } = {}): Promise<{ close(): Promise<void> }> {
  const watching = await startWatch(turns, gateway, instance, options);
  open.push(watching);
  return watching;
}

const modelCalled = (text: string) => gateway.model.waitForCall(({ lastUserText }) => lastUserText.includes(text));
const abortDue = async (messageId: string) => {
  const [row] = await turns.rows<{ abort_due: boolean }>('select abort_due from messages where id = ?', [messageId]);
  return row?.abort_due;
};

async function expectOneReply(messageId: string, content: string): Promise<void> {
  expect(await turns.end(messageId)).toMatchObject({ status: 'completed', content });
  expect(await turns.events(messageId)).toEqual([{ type: 'agent.message', content, error_code: null }]);
}

describe('a turn whose process dies', () => {
  test('while it runs is ended by the watcher, and what waited behind it is sent; the model answers each once', async () => {
    const api = await newApi();
    const running = await api.say(instance, { text: 'owner dies [[SAY Running.]] [[HOLD dies]]' });
    const waiting = await api.say(instance, { text: 'waits there [[SAY Waited.]]' });
    await modelCalled('owner dies');

    await api.die();
    await watch();
    await eventually(async () => {
      const owners = await turns.rows(`select owner from messages where instance_id = ? and status = 'pending'`, [
        instance.instanceId,
      ]);
      expect(owners).toEqual([{ owner: SHARD_OWNER }, { owner: SHARD_OWNER }]);
    });
    gateway.model.release('dies');

    await expectOneReply(running.messageId, 'Running.');
    await expectOneReply(waiting.messageId, 'Waited.');
    expect([gateway.model.answered('owner dies'), gateway.model.answered('waits there')]).toEqual([1, 1]);
  });

  test('and which ended while nobody listened is read back', async () => {
    const api = await newApi();
    const { messageId } = await api.say(instance, { text: 'nobody listens [[SAY Unheard.]] [[HOLD nobody]]' });
    await modelCalled('nobody listens');
    await api.die();
    gateway.model.release('nobody');
    await eventually(() => expect(gateway.model.answered('nobody listens')).toBe(1));

    await watch();

    await expectOneReply(messageId, 'Unheard.');
    expect(gateway.model.answered('nobody listens')).toBe(1);
  });

  test('and whose reply the database refuses again and again ends as agent_failed', async () => {
    const api = await newApi();
    await turns.refuse('Cannot be stored.');
    const { messageId } = await api.say(instance, { text: 'refused there [[SAY Cannot be stored.]] [[HOLD refused]]' });
    await modelCalled('refused there');
    await api.die();
    await watch();
    gateway.model.release('refused');

    expect(await turns.end(messageId)).toMatchObject({ status: 'failed', errorReason: 'agent_failed' });
    expect(await turns.events(messageId)).toEqual([{ type: 'agent.error', content: null, error_code: 'agent_failed' }]);
    expect(gateway.model.answered('refused there')).toBe(1);
  });

  test('between the claim and the frame is sent by the watcher', async () => {
    const owner = await turns.newProcess();
    const { messageId } = await turns.accept(instance, { owner, text: 'never left [[SAY Left after all.]]' });
    await claimAttempt(turns.orm.em.fork(), { messageId, attempt: 0, next: 1, claimant: { kind: 'process', owner } });
    await turns.forgetProcess(owner);

    await watch();

    await expectOneReply(messageId, 'Left after all.');
    expect(gateway.model.answered('never left')).toBe(1);
  });

  test('between the commit and the claim is sent by the watcher', async () => {
    const { messageId } = await turns.accept(instance, { owner: 'proc_gone', text: 'not claimed [[SAY Claimed.]]' });

    await watch();

    await expectOneReply(messageId, 'Claimed.');
  });

  test('is heard by the one who asks elsewhere', async () => {
    const [api, other] = [await newApi(), await newApi()];
    const { messageId } = await api.say(instance, { text: 'asked elsewhere [[SAY Told.]] [[HOLD asked]]' });
    await modelCalled('asked elsewhere');
    const { ended } = other.sender.follow(messageId);

    await api.die();
    await watch();
    gateway.model.release('asked');

    expect(await ended).toMatchObject({ status: 'completed', content: 'Told.' });
  });
});

test('an API and a watcher that hear the same end store one reply and one event', async () => {
  const api = await newApi();
  await watch();

  for (let round = 0; round < 5; round += 1) {
    const { messageId, followed } = await api.say(instance, { text: `both hear ${round} [[SAY Both ${round}.]]` });
    expect(await followed.ended).toMatchObject({ status: 'completed' });
    await expectOneReply(messageId, `Both ${round}.`);
  }
  expect(gateway.model.answered('both hear')).toBe(5);
});

test('two watchers at a handover send nothing twice', async () => {
  await watch();
  await watch();
  const said = [];
  for (let index = 0; index < 4; index += 1)
    said.push(await turns.accept(instance, { owner: SHARD_OWNER, text: `handover ${index} [[SAY Once.]]` }));

  for (const { messageId } of said) await expectOneReply(messageId, 'Once.');
  expect(gateway.model.answered('handover')).toBe(4);
});

describe('a turn that we end first', () => {
  test('because it ran too long is turn_timeout, its model call is cut, and the next is answered', async () => {
    const api = await newApi();
    const slow = await api.say(instance, { text: 'too slow [[WORDS 5]] [[HOLD too-slow 2]]' });
    await heard(slow.followed, 'w1 w2');
    const impatient = await watch({ turnTimeoutMs: 1_000 });

    expect(await slow.followed.ended).toMatchObject({ status: 'failed', errorReason: 'turn_timeout' });

    await gateway.model.waitForCall((call) => call.lastUserText.includes('too slow') && call.aborted);
    await eventually(async () => expect(await abortDue(slow.messageId)).toBe(false));
    await impatient.close();
    await watch();
    const next = await turns.accept(instance, { owner: SHARD_OWNER, text: 'after the slow one [[SAY Quick.]]' });
    await expectOneReply(next.messageId, 'Quick.');
    expect(await turns.events(slow.messageId)).toEqual([{ type: 'agent.error', content: null, error_code: 'turn_timeout' }]);
  });

  test('and that could not be aborted then is aborted by the watcher', async () => {
    const api = await newApi();
    const { messageId } = await api.say(instance, { text: 'aborted later [[WORDS 5]] [[HOLD later 2]]' });
    const call = await modelCalled('aborted later');
    await endTurnFirst(turns.deps, messageId, cancelledEnd());

    await watch();

    await eventually(() => expect(call.aborted).toBe(true));
    await eventually(async () => expect(await abortDue(messageId)).toBe(false));
    expect(await turns.events(messageId)).toEqual([{ type: 'agent.error', content: null, error_code: 'cancelled' }]);
  });

  test('while its frame was on its way is aborted at its first sign and never reported', async () => {
    const owner = await turns.newProcess();
    const accepted = await turns.accept(instance, { owner, text: 'late frame [[WORDS 5]] [[HOLD frame 2]]' });
    const { messageId } = accepted;
    const claimant = { kind: 'process', owner } as const;
    const turn = await claimAttempt(turns.orm.em.fork(), { messageId, attempt: 0, next: 1, claimant });
    await endTurnFirst(turns.deps, messageId, cancelledEnd());
    await turns.rows('update messages set abort_due = false where id = ? returning id', [messageId]);
    await watch();

    await sendTurn(await gateway.connect(), {
      key: turnKey(messageId, 1),
      agentId: AGENT,
      sessionKey: `agent:${AGENT}:conv:${accepted.conversationId}`,
      message: turn!.text,
      saidAt: new Date(turn!.saidAtMs),
      traceId: turn!.traceId,
      timeoutSeconds: PATIENCE_MS / 1_000,
    });

    const call = await modelCalled('late frame');
    await eventually(() => expect(call.aborted).toBe(true));
    await eventually(async () => expect(await abortDue(messageId)).toBe(false));
    expect(await turns.turn(messageId)).toMatchObject({ status: 'cancelled', content: '' });
    expect(await turns.events(messageId)).toHaveLength(1);
  });
});
