import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { dropHiddenMessages, hideConversation, listRemovals } from '../../database/messages/conversations.ts';
import { runTransaction } from '../../database/run-transaction.ts';
import type { NewAgent } from '../factories.ts';
import { eventually } from '../support/eventually.ts';
import { AGENT } from '../support/gateway-program.ts';
import type { GatewayUnderTest } from '../support/gateway-program.ts';
import type { ScriptedControl } from '../support/scripted-gateway/scripted-control.ts';
import { startScripted } from '../support/scripted-gateway/start-scripted.ts';
import { startApi, startWatch } from './processes-under-test.ts';
import type { ApiUnderTest } from './processes-under-test.ts';
import { openTurns } from './turns-under-test.ts';
import type { TurnsUnderTest } from './turns-under-test.ts';

let turns: TurnsUnderTest;
let gateway: GatewayUnderTest;
let control: ScriptedControl;
let instance: NewAgent;
let api: ApiUnderTest;
let watch: { close(): Promise<void> } | undefined;

beforeAll(async () => {
  [turns, { gateway, control }] = await Promise.all([openTurns(), startScripted()]);
});
afterAll(async () => {
  await gateway.close();
  await turns.close();
});
beforeEach(async () => {
  const { bootId } = await gateway.connect();
  instance = await turns.newInstance({ runtimeId: gateway.runtimeId, bootId, gatewayAgentId: AGENT });
  api = await startApi(turns, gateway);
});
afterEach(async () => {
  await Promise.all([watch?.close(), api.close()]);
  watch = undefined;
  control.behave();
});

const hide = (name: string) =>
  runTransaction(turns.orm.em, (em) => hideConversation(em, { agentId: instance.agentId, name, now: new Date() }));
const rowsOf = (conversationId: string) =>
  turns.rows<{ id: string }>(
    'select id from messages where conversation_id = ? union all select id from conversations where id = ?',
    [conversationId, conversationId],
  );
const removed = (conversationId: string) => eventually(async () => expect(await rowsOf(conversationId)).toEqual([]));

async function sessionOf(conversationId: string): Promise<unknown> {
  const client = await gateway.connect();
  const answer = await client.request('chat.history', { sessionKey: `agent:${AGENT}:conv:${conversationId}`, limit: 10 });
  return JSON.parse(JSON.stringify(answer)).sessionId;
}

describe('a conversation that was deleted', () => {
  test('goes with its messages, and its gateway forgets it', async () => {
    const { messageId, followed } = await api.say(instance, { text: '[[SAY Said.]]', sessionId: 'done' });
    await followed.ended;
    const { conversationId } = await turns.turn(messageId);
    expect(await sessionOf(conversationId!)).toEqual(expect.any(String));
    expect(await hide('done')).toBe(conversationId);
    watch = await startWatch(turns, gateway, instance);
    await removed(conversationId!);
    expect(await sessionOf(conversationId!)).toBeUndefined();
  });

  test('its running and waiting turns end as cancelled, are aborted in the gateway, and go with it', async () => {
    const running = await api.say(instance, { text: '[[WORDS 5]] [[HOLD never 2]]', sessionId: 'busy' });
    const waiting = await api.say(instance, { text: '[[SAY Never.]]', sessionId: 'busy' });
    const { conversationId } = await turns.turn(running.messageId);
    await eventually(() =>
      expect(control.journal().some(({ what, runId }) => what === 'began' && runId === running.messageId)).toBe(true),
    );
    watch = await startWatch(turns, gateway, instance);
    await hide('busy');
    for (const { followed } of [running, waiting]) {
      const ended = await followed.ended;
      expect(ended === null || ended.status === 'cancelled').toBe(true);
    }
    await removed(conversationId!);
    for (const { messageId } of [running, waiting])
      expect(await turns.events(messageId)).toEqual([{ type: 'agent.error', content: null, error_code: 'cancelled' }]);
    expect(control.journal().some(({ what, runId }) => what === 'answered' && runId === running.messageId)).toBe(false);
    expect(await sessionOf(conversationId!)).toBeUndefined();
  });

  test('a gateway that cannot do it now is asked again', async () => {
    const { messageId, followed } = await api.say(instance, { text: '[[SAY Said.]]', sessionId: 'later' });
    await followed.ended;
    const { conversationId } = await turns.turn(messageId);
    const busy = { code: 'UNAVAILABLE', message: 'Session is still active; try again.', retryable: true };
    control.misbehave({ kind: 'refuse-call', method: 'sessions.delete', ...busy }, { times: 1 });
    await hide('later');
    watch = await startWatch(turns, gateway, instance);
    await removed(conversationId!);
    expect(control.journal().some(({ what }) => what === 'misbehaved')).toBe(true);
  });

  test('while no gateway runs its messages go with the sweep, and its gateway is told once it runs again', async () => {
    const { messageId, followed } = await api.say(instance, { text: '[[SAY Said.]]', sessionId: 'asleep' });
    await followed.ended;
    const { conversationId } = await turns.turn(messageId);
    await hide('asleep');
    const kept = await turns.accept(instance, { sessionId: 'asleep' });
    expect(await dropHiddenMessages(turns.orm.em.fork(), { limit: 10 })).toBe(2);
    expect(await rowsOf(conversationId!)).toEqual([{ id: conversationId }]);
    expect(await turns.turn(kept.messageId)).toMatchObject({ status: 'pending', isDeleted: false });
    watch = await startWatch(turns, gateway, instance);
    await removed(conversationId!);
  });

  test('is looked for instance by instance: twenty at a time of each, those deleted first', async () => {
    const other = await turns.newInstance();
    for (const [{ agentId }, count] of [
      [instance, 25],
      [other, 1],
    ] as const)
      await turns.rows(
        `insert into conversations (id, agent_id, session_id, created_at, deleted_at)
         select 'conv_' || right(agents.id, 12) || lpad(n::text, 2, '0'), agents.id, 'gone' || n, now(), now() - n * interval '1 second'
           from agents, generate_series(1, ?::int) n where agents.id = ? returning id`,
        [count, agentId],
      );
    const watched = [instance, other].map(({ instanceId }) => ({ instanceId, shardEpoch: 1 }));
    const found = Map.groupBy(await listRemovals(turns.orm.em.fork(), watched), ({ instanceId }) => instanceId);
    const numbers = found.get(instance.instanceId)?.map(({ conversationId }) => Number(conversationId.slice(-2)));
    expect(numbers?.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 20 }, (_none, index) => index + 6));
    expect(found.get(other.instanceId)).toHaveLength(1);
  });

  test('a turn that the gateway must still be told of keeps its rows until then', async () => {
    const { messageId, conversationId } = await turns.accept(instance, {
      sessionId: 'marked',
      owner: api.sender.owner(),
      claims: true,
    });
    await turns.rows(`update messages set status = 'cancelled', abort_due = true, ended_at = now() where id = ? returning id`, [
      messageId,
    ]);
    await hide('marked');
    expect(await dropHiddenMessages(turns.orm.em.fork(), { limit: 10 })).toBe(0);
    await turns.rows('update messages set abort_due = false where id = ? returning id', [messageId]);
    expect(await dropHiddenMessages(turns.orm.em.fork(), { limit: 10 })).toBe(2);
    expect(await rowsOf(conversationId)).toHaveLength(1);
  });
});
