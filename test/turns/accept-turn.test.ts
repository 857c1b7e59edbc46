import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { hideConversation } from '../../database/messages/conversations.ts';
import { holdAgentGate } from '../../database/messages/agent-gate.ts';
import { findClaimedTurn } from '../../database/messages/claim-turn.ts';
import { MAX_WAITING_TURNS } from '../../domain/turn.ts';
import { openTurns } from './turns-under-test.ts';
import { eventually } from '../support/eventually.ts';
import type { NewAgent } from '../factories.ts';
import type { TurnsUnderTest } from './turns-under-test.ts';

const WAITING = `select pid from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`;

let turns: TurnsUnderTest;
let instance: NewAgent;

beforeAll(async () => {
  turns = await openTurns();
});
afterAll(() => turns.close());

async function refusal(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => 'accepted',
    (error: unknown) => error,
  );
}

describe('an instance takes messages only while it runs, is meant to, and is in no transition', () => {
  test.each([
    ['is starting', { status: 'provisioning', transition_kind: 'starting', boot_id: null }, 'starting'],
    ['is stopping', { desired_status: 'stopped', transition_kind: 'stopping' }, 'stopping'],
    ['is restarting', { transition_kind: 'restarting' }, 'restarting'],
    ['is being recovered', { status: 'provisioning', transition_kind: 'recovering', boot_id: null }, 'recovering'],
    ['is being deleted', { status: 'destroying', desired_status: 'destroyed', transition_kind: 'destroying' }, 'destroying'],
    ['is stopped', { status: 'stopped', desired_status: 'stopped', boot_id: null }, 'stopped'],
    ['has failed', { status: 'error', boot_id: null }, 'error'],
    ['has no gateway that is known', { boot_id: null }, 'recovering'],
  ])('not when it %s', async (_name, fields, reason) => {
    instance = await turns.newInstance();
    for (const [column, value] of Object.entries(fields))
      await turns.rows(`update instances set ${column} = ? where id = ? returning id`, [value, instance.instanceId]);

    const error = await refusal(turns.accept(instance));

    expect(error).toMatchObject({ code: 'instance_not_ready', reason, retryAfterSeconds: expect.any(Number) });
    expect(await turns.rows('select id from conversations where agent_id = ?', [instance.agentId])).toEqual([]);
  });

  test('not once it is gone', async () => {
    instance = await turns.newInstance();
    await turns.rows('update instances set deleted_at = now() where id = ? returning id', [instance.instanceId]);

    expect(await holdAgentGate(turns.orm.em.fork(), instance.instanceId, instance.agentId)).toBeNull();
  });

  test('an accepted message and an accepted stop are ordered: no message slips in behind a stop', async () => {
    instance = await turns.newInstance();
    const waiting = await turns.orm.em.fork().transactional(async (em) => {
      await em.execute(`update instances set transition_kind = 'stopping' where id = ?`, [instance.instanceId], 'run');
      const outcome = refusal(turns.accept(instance));
      const first = await Promise.race([outcome, em.execute('select pg_sleep(0.2)').then(() => 'still waits')]);
      expect(first).toBe('still waits');
      return { outcome };
    });
    expect(await waiting.outcome).toMatchObject({ code: 'instance_not_ready', reason: 'stopping' });
    expect(await refusal(turns.accept(instance))).toMatchObject({ code: 'instance_not_ready', reason: 'stopping' });
  });
});

describe('an agent takes messages only while it is active', () => {
  test.each([
    ['pending', 'instance_not_ready'],
    ['error', 'instance_not_ready'],
    ['deleting', 'not_found'],
  ])('not when it is %s', async (status, code) => {
    instance = await turns.newInstance();
    await turns.rows('update agents set status = ? where id = ? returning id', [status, instance.agentId]);

    expect(await refusal(turns.accept(instance))).toMatchObject({ code });
  });

  test('not an agent of another instance', async () => {
    const [own, other] = [await turns.newInstance(), await turns.newInstance()];

    expect(await refusal(turns.accept({ ...own, agentId: other.agentId }))).toMatchObject({ code: 'not_found' });
  });
});

describe('the order of a conversation', () => {
  test('messages that come at once get numbers without gap or double, and one conversation', async () => {
    instance = await turns.newInstance();

    const accepted = await Promise.all(Array.from({ length: 20 }, () => turns.accept(instance, { sessionId: 'Case' })));

    expect(new Set(accepted.map(({ conversationId }) => conversationId)).size).toBe(1);
    const numbers = await turns.rows<{ number: number }>(
      `select number::float8 from messages where agent_id = ? and role = 'agent' order by number`,
      [instance.agentId],
    );
    expect(numbers.map(({ number }) => number)).toEqual(Array.from({ length: 20 }, (_, index) => index + 1));
  });

  test('sessions that differ in case are different conversations', async () => {
    instance = await turns.newInstance();

    const [upper, lower] = [await turns.accept(instance, { sessionId: 'A' }), await turns.accept(instance, { sessionId: 'a' })];

    expect(upper.conversationId).not.toBe(lower.conversationId);
  });

  test('one may run and 32 may wait; the next is refused, also when they come at once', async () => {
    instance = await turns.newInstance();

    const results = await Promise.all(Array.from({ length: 40 }, () => refusal(turns.accept(instance))));

    const refused = results.filter((result) => result instanceof Error);
    expect(results.length - refused.length).toBe(MAX_WAITING_TURNS + 1);
    for (const error of refused) expect(error).toMatchObject({ code: 'rate_limited', retryAfterSeconds: expect.any(Number) });
    expect(await refusal(turns.accept(instance, { sessionId: 'another' }))).toBe('accepted');
  });

  test('its process has claimed the head of a conversation by accepting it, and nothing that waits', async () => {
    instance = await turns.newInstance();
    const owner = await turns.newProcess();

    const head = await turns.accept(instance, { owner, claims: true });
    const waiting = await turns.accept(instance, { owner, claims: true });

    expect(waiting.claim).toBeNull();
    const claimed = await findClaimedTurn(turns.orm.em.fork(), { messageId: head.messageId, owner });
    expect(claimed).toMatchObject({ messageId: head.messageId, attempt: 1 });
    expect(head.claim?.turn).toEqual(claimed);
  });

  test('of messages that come at once, and wait for each other, one is the head', async () => {
    instance = await turns.newInstance();
    const owner = await turns.newProcess();

    const accepted = await Promise.all(Array.from({ length: 8 }, () => turns.accept(instance, { owner, claims: true })));

    const claimed = accepted.flatMap(({ claim }) => (claim ? [claim.turn.messageId] : []));
    const [first] = await turns.rows<{ id: string }>(
      `select id from messages where agent_id = ? and role = 'agent' order by number limit 1`,
      [instance.agentId],
    );
    expect(claimed).toEqual([first?.id]);
  });

  test('a message that waits for the deletion of its conversation is the head of a new one', async () => {
    instance = await turns.newInstance();
    const owner = await turns.newProcess();
    const { conversationId } = await turns.accept(instance, { owner, claims: true });
    const { waiting } = await turns.orm.em.fork().transactional(async (em) => {
      await hideConversation(em, { agentId: instance.agentId, name: conversationId, now: new Date() });
      const accepting = turns.accept(instance, { owner, claims: true });
      await eventually(async () => expect(await turns.rows(WAITING)).toHaveLength(1));
      return { waiting: accepting };
    });

    const accepted = await waiting;

    expect(accepted.conversationId).not.toBe(conversationId);
    expect(accepted.claim?.turn).toMatchObject({ messageId: accepted.messageId, attempt: 1 });
  });

  test('a process that was silent for eight seconds has claimed nothing by accepting it', async () => {
    instance = await turns.newInstance();
    const owner = await turns.newProcess();
    await turns.rows(`update processes set seen_at = now() - interval '8.5 seconds' where id = ? returning id`, [owner]);

    expect(await turns.accept(instance, { owner, claims: true })).toMatchObject({ claim: null });
  });

  test.each([
    ['the process is silent', `update processes set seen_at = now() - interval '8.5 seconds' where id = $owner returning id`],
    ['the instance is stopped', `update instances set transition_kind = 'stopping' where id = $instance returning id`],
    ['it was taken over', `update messages set owner = 'shard' where owner = $owner returning id`],
    ['it was cancelled', `update messages set status = 'cancelled' where owner = $owner returning id`],
  ])('a claimed head is not sent without a look when %s meanwhile', async (_name, sql) => {
    instance = await turns.newInstance();
    const owner = await turns.newProcess();
    const { messageId } = await turns.accept(instance, { owner, claims: true });
    await turns.rows(sql.replace(/\$\w+/, '?'), [sql.includes('$owner') ? owner : instance.instanceId]);

    expect(await findClaimedTurn(turns.orm.em.fork(), { messageId, owner })).toBeNull();
  });

  test('a pending reply is stored for the gateway process that takes messages and for the process that accepted it', async () => {
    instance = await turns.newInstance({ bootId: 'boot-7' });

    const { messageId } = await turns.accept(instance, { owner: 'proc_a', text: 'What is new?' });

    const [reply] = await turns.rows('select owner, boot_id, attempt, status, trace_id from messages where id = ?', [messageId]);
    expect(reply).toEqual({
      owner: 'proc_a',
      boot_id: 'boot-7',
      attempt: 0,
      status: 'pending',
      trace_id: expect.stringMatching(/^[0-9a-f]{32}$/),
    });
    expect(await turns.turn(messageId)).toMatchObject({ content: '', usage: { inputTokens: 0, outputTokens: 0 } });
  });
});
