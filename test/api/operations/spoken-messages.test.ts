import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { EntityManager } from '@mikro-orm/postgresql';
import { listUnsentHeads } from '../../../database/messages/pending-turns.ts';
import { recordCronRun } from '../../../database/crons/record-cron-run.ts';
import type { CronResult } from '../../../database/crons/record-cron-run.ts';
import { recordUnprompted } from '../../../database/messages/record-unprompted.ts';
import type { UnpromptedMessage } from '../../../database/messages/record-unprompted.ts';
import { removeInstanceData } from '../../../database/instances/lifecycle/remove-instance.ts';
import { runTransaction } from '../../../database/run-transaction.ts';
import { turnSettings } from '../../../turns/turn-deps.ts';
import { startApi } from '../api-under-test.ts';
import type { AccountClient, ApiUnderTest } from '../api-under-test.ts';
import { endTurn, newAgent, newCron, newRunningAgent, newTurn } from '../rows.ts';

/** What agents send by themselves, as a watcher records it; test/api/live-spoken.test.ts has a gateway. */
let api: ApiUnderTest;
let account: AccountClient;
let of: { instanceId: string; agentId: string };
let path: string;
let runs = 0;

beforeAll(async () => {
  api = await startApi({ env: { MAX_INSTANCES_PER_ACCOUNT: '50', WEBHOOK_ALLOW_PRIVATE: 'true' } });
  account = await api.newAccount();
});
beforeEach(async () => {
  of = await newRunningAgent(api, account);
  path = `/instances/${of.instanceId}/agents/${of.agentId}/messages`;
});
afterAll(() => api.close());

const options = () => ({ makeId: api.deps.makeId, now: api.deps.clock(), ...turnSettings(api.deps.config) });
const gatewayAgentId = async (agentId = of.agentId): Promise<string> =>
  (await api.sql<{ id: string }>('select gateway_agent_id as id from agents where id = ?', [agentId]))[0]!.id;

async function resultOfJob(changes: Partial<CronResult> = {}): Promise<CronResult> {
  runs += 1;
  return {
    ...{ instanceId: of.instanceId, gatewayJobId: 'job', gatewayAgentId: await gatewayAgentId(), jobName: 'price-check' },
    ...{ runAt: new Date(1_800_000_000_000 + runs), saidAt: api.deps.clock(), conversationId: null, isDelivered: false },
    ...{ content: 'Bitcoin price: $69,327', contentTruncated: false, error: null },
    ...changes,
  };
}

async function ownMessage(changes: Partial<UnpromptedMessage> = {}): Promise<UnpromptedMessage> {
  runs += 1;
  const facts = {
    runId: `run-${runs}`,
    conversationId: null,
    saidAt: api.deps.clock(),
    content: 'By the way.',
    finishReason: 'stop' as const,
  };
  return { instanceId: of.instanceId, gatewayAgentId: await gatewayAgentId(), ...facts, ...changes };
}

const recordRun = async (changes?: Partial<CronResult>): Promise<boolean> => {
  const result = await resultOfJob(changes);
  return runTransaction(api.orm.em, (em) => recordCronRun(em, result, options()));
};
const recordOwn = async (changes?: Partial<UnpromptedMessage>): Promise<boolean> => {
  const message = await ownMessage(changes);
  return runTransaction(api.orm.em, (em) => recordUnprompted(em, message, options()));
};
/** The events of the instance, the newest first. */
const events = async () => (await account.ok('GET', `/instances/${of.instanceId}/events`)).events;
const contents = async (query = ''): Promise<string[]> =>
  (await account.ok('GET', `${path}${query}`)).messages.map(({ content }: { content: string }) => content);
const rows = () => api.sql<{ id: string }>('select id from messages where instance_id = ?', [of.instanceId]);

async function conversation(sessionId: string): Promise<{ conversationId: string; messageId: string }> {
  const { messageId } = await newTurn(api, of, { text: `question in ${sessionId}`, sessionId });
  await endTurn(api, messageId, { status: 'completed', content: `answer in ${sessionId}`, finishReason: 'stop' });
  const [row] = await api.sql<{ id: string }>('select conversation_id as id from messages where id = ?', [messageId]);
  return { conversationId: row!.id, messageId };
}

async function subscribe(): Promise<() => Promise<unknown[]>> {
  const hook = { url: 'http://127.0.0.1:9/hook', events: ['*'], instanceId: of.instanceId };
  const { webhookId } = await account.ok('POST', '/webhooks', hook);
  const bodies = () =>
    api.sql<{ body: string }>('select body from webhook_deliveries where webhook_id = ? order by created_at', [webhookId]);
  return async () => (await bodies()).map(({ body }) => JSON.parse(body));
}

describe('a result of a job', () => {
  test('is a message, which its event and its webhook name', async () => {
    const bodies = await subscribe();
    expect(await recordRun({ saidAt: new Date('2026-04-07T09:00:00.000Z') })).toBe(true);
    const [event] = await events();
    const { messageId } = event;
    expect(event).toMatchObject({ messageId: expect.stringMatching(/^msg_/), eventType: 'cron.completed', source: 'cron' });
    expect(await account.ok('GET', `${path}/${messageId}`)).toEqual({
      ...{ messageId, role: 'agent', content: 'Bitcoin price: $69,327', status: 'completed', error: null },
      sender: { type: 'agent', id: 'support-bot', name: 'Support Bot' },
      ...{
        source: 'cron',
        jobName: 'price-check',
        finishReason: null,
        sessionId: null,
        latencyMs: null,
        timestamp: '2026-04-07T09:00:00.000Z',
      },
    });
    expect(await bodies()).toMatchObject([
      { eventType: 'cron.completed', data: { content: 'Bitcoin price: $69,327', jobName: 'price-check', messageId } },
    ]);
  });

  test('that failed is a failed message with its reason', async () => {
    const bodies = await subscribe();
    const error = { code: 'model_error', message: 'The model did not answer.' } as const;
    await recordRun({ content: null, error });
    const [event] = await events();
    const { messageId } = event;
    expect(event).toMatchObject({ eventType: 'agent.error', error, messageId: expect.stringMatching(/^msg_/) });
    const failed = { status: 'failed', content: '', error, source: 'cron', jobName: 'price-check' };
    expect(await account.ok('GET', `${path}/${messageId}`)).toMatchObject(failed);
    expect(await bodies()).toMatchObject([{ eventType: 'agent.error', data: { ...error, messageId, jobName: 'price-check' } }]);
  });

  test('is in no history, unless its job runs in a conversation or its gateway has added it to one', async () => {
    const { conversationId } = await conversation('Work');
    const gatewayJobId = `job-of-${await newCron(api, of)}`;
    await api.sql('update cron_jobs set conversation_id = ? where gateway_job_id = ? returning id', [
      conversationId,
      gatewayJobId,
    ]);
    for (const result of [{}, { isDelivered: true }, { gatewayJobId }]) await recordRun(result);
    expect(await contents('?limit=3')).toEqual(['question in Work', 'answer in Work']);
    await recordRun({ gatewayJobId, isDelivered: true, content: 'Added to Work.' });
    expect(await contents('?sessionId=Work')).toEqual(['question in Work', 'answer in Work', 'Added to Work.']);
    await recordRun({ conversationId, content: 'Said in Work.' });
    const { messages } = await account.ok('GET', `${path}?sessionId=Work`);
    expect(messages.at(-1)).toMatchObject({
      content: 'Said in Work.',
      source: 'cron',
      jobName: 'price-check',
      sessionId: 'Work',
    });
    expect(messages).toHaveLength(4);
  });

  test('says when the gateway had only a part of it left', async () => {
    await recordRun({ contentTruncated: true });
    const [event] = await events();
    expect(event).toMatchObject({ contentTruncated: true });
    expect(await account.ok('GET', `${path}/${event.messageId}`)).toMatchObject({ contentTruncated: true });
  });

  test('is the last one of its job', async () => {
    const cronId = await newCron(api, of);
    await recordRun({ gatewayJobId: `job-of-${cronId}` });
    const [event] = await events();
    const [job] = await api.sql('select last_event_id as id from cron_jobs where id = ?', [cronId]);
    expect(job).toEqual({ id: event.eventId });
  });
});

describe('what an agent says by itself', () => {
  test('is a message, which its event and its webhook name', async () => {
    const bodies = await subscribe();
    await recordOwn({ finishReason: 'length' });
    const [event] = await events();
    const { messageId } = event;
    const sender = { type: 'agent', id: 'support-bot', name: 'Support Bot' };
    expect(event).toMatchObject({ messageId: expect.stringMatching(/^msg_/), eventType: 'agent.message', source: 'agent' });
    expect(await account.ok('GET', `${path}/${messageId}`)).toMatchObject({
      ...{
        messageId,
        role: 'agent',
        content: 'By the way.',
        sender,
        status: 'completed',
        finishReason: 'length',
        source: 'agent',
        jobName: null,
      },
    });
    expect(await bodies()).toMatchObject([{ eventType: 'agent.message', data: { content: 'By the way.', messageId, sender } }]);
  });

  test('is in the history of its conversation when it was said, however late it was read back', async () => {
    const first = await conversation('');
    await conversation('Other');
    api.advance(1_000);
    const saidAt = api.deps.clock();
    api.advance(1_000);
    await conversation('');
    await recordOwn({ conversationId: first.conversationId, saidAt });
    expect((await contents()).toSorted()).toEqual(
      [
        'question in ',
        'answer in ',
        'By the way.',
        'question in ',
        'answer in ',
        'question in Other',
        'answer in Other',
      ].toSorted(),
    );
    expect(await contents('?sessionId=Other')).toEqual(['question in Other', 'answer in Other']);
    expect((await contents()).slice(-3)).toEqual(['By the way.', 'question in ', 'answer in ']);
    const last = await account.ok('GET', `${path}?limit=2`);
    const before = await account.ok('GET', `${path}?limit=1&cursor=${last.nextCursor}`);
    expect(before.messages).toMatchObject([{ content: 'By the way.', timestamp: saidAt.toISOString() }]);
    expect(before.messages[0]).not.toHaveProperty('requestMessageId');
    expect(before.messages[0]).not.toHaveProperty('usage');
  });

  test('in no conversation of this agent is in no history', async () => {
    const { conversationId } = await conversation('Work');
    await api.sql(`update instances set status = 'stopped', desired_status = 'stopped' where id = ? returning id`, [
      of.instanceId,
    ]);
    const other = await newAgent(account, of.instanceId, 'other');
    await recordOwn();
    await recordOwn({ conversationId: 'conv_unknown' });
    await recordOwn({ conversationId, gatewayAgentId: await gatewayAgentId(other) });
    expect(await contents()).toEqual(['question in Work', 'answer in Work']);
    expect(await account.ok('GET', path.replace(of.agentId, other))).toEqual({ messages: [], nextCursor: null });
    for (const { messageId, agentSlug } of (await events()).slice(0, 3)) {
      const agentId = agentSlug === 'other' ? other : of.agentId;
      expect(await account.ok('GET', `${path.replace(of.agentId, agentId)}/${messageId}`)).toMatchObject({ sessionId: null });
    }
  });

  test('was not said later than now, whatever the clock of the gateway says', async () => {
    const now = api.deps.clock();
    await recordOwn({ saidAt: new Date(now.getTime() + 3_600_000) });
    const { timestamp } = await account.ok('GET', `${path}/${(await events())[0].messageId}`);
    expect(Date.parse(timestamp)).toBeLessThanOrEqual(api.deps.clock().getTime());
  });

  test('is no turn: it neither goes before one nor counts as waiting', async () => {
    const turns = [];
    turns.push((await newTurn(api, of)).messageId);
    const [row] = await api.sql<{ id: string }>('select conversation_id as id from messages where id = ?', [turns[0]]);
    const heads = () => listUnsentHeads(api.orm.em.fork(), of.instanceId);
    for (let times = 0; times < 40; times += 1) await recordOwn({ conversationId: row!.id });
    for (let waiting = 0; waiting < 32; waiting += 1) turns.push((await newTurn(api, of)).messageId);
    expect(await account.call('POST', path, { message: 'One too many' })).toMatchObject({ status: 429 });
    expect(await heads()).toEqual([turns[0]]);
    await endTurn(api, turns[0]!, { status: 'completed', content: 'Done', finishReason: 'stop' });
    expect(await heads()).toEqual([turns[1]]);
  });
});

describe('both', () => {
  test('have ended already: a cancel is 409', async () => {
    const { conversationId } = await conversation('');
    await recordRun();
    await recordOwn({ conversationId });
    for (const { messageId } of (await events()).slice(0, 2))
      expect(await account.call('POST', `${path}/${messageId}/cancel`)).toMatchObject({
        status: 409,
        body: { error: { code: 'conflict', messageId } },
      });
  });

  test('are recorded once, by however many watchers at the same time, also of a job that was never seen', async () => {
    const { conversationId } = await conversation('');
    const [result, message] = [await resultOfJob({ conversationId }), await ownMessage({ conversationId })];
    const record = () => [
      runTransaction(api.orm.em, (em) => recordCronRun(em, result, options())),
      runTransaction(api.orm.em, (em) => recordUnprompted(em, message, options())),
    ];
    const recorded = await Promise.all([record(), record(), record()].flat());
    expect(recorded.filter(Boolean)).toHaveLength(2);
    expect(await Promise.all(record())).toEqual([false, false]);
    expect((await events()).map(({ content }: { content: string }) => content).toSorted()).toEqual(
      ['By the way.', 'Bitcoin price: $69,327', 'answer in '].toSorted(),
    );
    expect(await rows()).toHaveLength(4);
    const [{ number } = { number: 0 }] = await api.sql<{ number: number }>(
      'select last_number::int as number from conversations where id = ?',
      [conversationId],
    );
    expect(number).toBe(3);
  });

  test('leave nothing of a process that dies before the commit, and are recorded by the next one', async () => {
    const { conversationId } = await conversation('');
    const [result, message] = [await resultOfJob(), await ownMessage({ conversationId })];
    for (const record of [
      (em: EntityManager) => recordCronRun(em, result, options()),
      (em: EntityManager) => recordUnprompted(em, message, options()),
    ]) {
      const before = await rows();
      const em = api.orm.em.fork();
      await em.begin();
      expect(await record(em)).toBe(true);
      await em.rollback();
      expect(await rows()).toEqual(before);
      expect(await runTransaction(api.orm.em, record)).toBe(true);
    }
    const [own, run] = await events();
    for (const { messageId, content } of [own, run])
      expect(await account.ok('GET', `${path}/${messageId}`)).toMatchObject({ content });
    expect(await rows()).toHaveLength(4);
  });

  test('of a deleted agent or instance are not recorded, and go with their instance', async () => {
    await recordRun();
    await recordOwn();
    expect(await rows()).toHaveLength(2);
    const { messageId } = (await events())[0];
    await api.sql('update agents set deleted_at = now() where id = ? returning id', [of.agentId]);
    expect([await recordRun(), await recordOwn()]).toEqual([false, false]);
    expect(await account.call('GET', `${path}/${messageId}`)).toMatchObject({ status: 404 });
    await api.sql('update agents set deleted_at = null where id = ? returning id', [of.agentId]);
    await account.ok('DELETE', `/instances/${of.instanceId}`);
    expect([await recordRun(), await recordOwn()]).toEqual([false, false]);
    await removeInstanceData(api.orm.em.fork(), of.instanceId, new AbortController().signal);
    expect(await rows()).toEqual([]);
  });

  test('keep their instance from being deleted until they are recorded', async () => {
    const [result, message] = [await resultOfJob(), await ownMessage()];
    for (const record of [
      (em: EntityManager) => recordCronRun(em, result, options()),
      (em: EntityManager) => recordUnprompted(em, message, options()),
    ]) {
      const em = api.orm.em.fork();
      await em.begin();
      expect(await record(em)).toBe(true);
      const change = () => api.sql('select id from instances where id = ? for no key update nowait', [of.instanceId]);
      await expect(change()).rejects.toThrow('could not obtain lock');
      await em.commit();
      expect(await change()).toHaveLength(1);
    }
  });

  test('count as messages in the usage, replies not apart', async () => {
    await conversation('');
    await recordRun();
    await recordRun({ content: null, error: { code: 'agent_failed', message: 'It failed.' } });
    await recordOwn();
    const to = new Date(api.deps.clock().getTime() + 1_000).toISOString();
    const { rows: usage } = await account.ok('GET', `/instances/${of.instanceId}/usage?to=${to}`);
    expect(usage).toMatchObject([{ key: of.agentId, messages: 4, inputTokens: 0, outputTokens: 0 }]);
  });
});
