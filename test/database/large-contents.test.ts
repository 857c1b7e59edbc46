import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { findAccountEvents, findInstanceEvents } from '../../database/events/find-events.ts';
import { findDueDeliveries } from '../../database/webhooks/find-due-deliveries.ts';
import { findHistory } from '../../database/messages/find-messages.ts';
import { recordCronRun } from '../../database/crons/record-cron-run.ts';
import { recordUnprompted } from '../../database/messages/record-unprompted.ts';
import { runTransaction } from '../../database/run-transaction.ts';
import { MAX_CONTENT_BYTES } from '../../domain/turn.ts';
import { endTurn } from '../../turns/end-turns.ts';
import { TurnFeed } from '../../turns/turn-feed.ts';
import { openTurns } from '../turns/turns-under-test.ts';
import type { NewAgent } from '../factories.ts';
import type { TurnsUnderTest } from '../turns/turns-under-test.ts';

let turns: TurnsUnderTest;
beforeAll(async () => {
  turns = await openTurns();
});
afterAll(() => turns.close());

const LONGER = 'ü'.repeat(MAX_CONTENT_BYTES / 2 + 1);
const KEPT = 'ü'.repeat(MAX_CONTENT_BYTES / 2);
const em = () => turns.orm.em.fork();

async function reply(instance: NewAgent, content: string): Promise<string> {
  const { messageId } = await turns.accept(instance, { owner: await turns.newProcess(), sessionId: 's' });
  await endTurn(turns.deps, messageId, { status: 'completed', content, finishReason: 'stop' });
  return messageId;
}

interface Kept {
  content: string;
  truncated: boolean;
}

/** What is kept of all that the agent said, in messages and in events. */
async function kept({ instanceId }: NewAgent): Promise<Kept[]> {
  const said = (table: string, where: string): Promise<Kept[]> =>
    turns.rows(`select content, content_truncated as truncated from ${table} where instance_id = ? ${where}`, [instanceId]);
  return [...(await said('messages', `and role = 'agent'`)), ...(await said('events', ''))];
}

test.each<[string, string, boolean]>([
  ['up to 1 MiB is kept whole', KEPT, false],
  ['longer than 1 MiB is cut there, and marked', LONGER, true],
])('a reply, a message and a result of a job %s', async (_, content, isCut) => {
  const instance = await turns.newInstance();
  const { instanceId, gatewayAgentId } = instance;
  const options = { ...turns.deps, now: new Date() };
  const at = { conversationId: null, saidAt: new Date(), content };
  await reply(instance, content);
  await runTransaction(turns.orm.em, (tx) =>
    recordUnprompted(tx, { ...at, instanceId, gatewayAgentId, runId: 'r', finishReason: 'stop' }, options),
  );
  const run = { gatewayJobId: 'j', jobName: 'J', runAt: new Date(), isDelivered: false, contentTruncated: false, error: null };
  await runTransaction(turns.orm.em, (tx) => recordCronRun(tx, { ...at, ...run, instanceId, gatewayAgentId }, options));
  const all = await kept(instance);
  expect(all).toHaveLength(6);
  for (const one of all) expect([one.content === KEPT, one.truncated]).toEqual([true, isCut]);
});

test('the stream of a reply that is longer than is kept is what is kept of it', async () => {
  const instance = await turns.newInstance();
  const feed = new TurnFeed('msg_1');
  const streamed: string[] = [];
  const reading = (async () => {
    for await (const { text } of feed.deltas()) streamed.push(text);
  })();
  feed.update(LONGER.slice(0, 1_000));
  feed.update(LONGER);
  feed.end(await turns.turn(await reply(instance, `${LONGER} and more`)));
  await reading;
  expect(streamed.join('') === KEPT).toBe(true);
});

test('a page of contents has as many as fit into 8 MiB, at least one, and the next one goes on without a gap', async () => {
  const instance = await turns.newInstance();
  const { accountId, instanceId, agentId } = instance;
  const replies: string[] = [];
  for (let number = 0; number < 10; number += 1) replies.push(await reply(instance, KEPT));
  // As an earlier version kept it.
  await turns.rows(`update messages set content = repeat('x', 9 * 1024 * 1024) where id = ? returning id`, [replies[9]]);
  await turns.rows(`update events set content = repeat('x', 9 * 1024 * 1024) where message_id = ? returning id`, [replies[9]]);

  const first = await findHistory(em(), agentId, { order: 'newest-first', limit: 200 });
  expect([first.entries.map(({ id }) => id), first.hasMore]).toEqual([[replies[9]], true]);
  const seen: string[] = [];
  for (let page = first; ;) {
    const agents = page.entries.filter(({ role }) => role === 'agent');
    expect(agents.length).toBeLessThanOrEqual(8);
    seen.push(...agents.map(({ id }) => id));
    const last = page.entries.at(-1);
    if (!page.hasMore || !last) break;
    const before = [last.createdAt.getTime(), last.conversationId, last.number, last.role === 'agent' ? 1 : 0] as const;
    page = await findHistory(em(), agentId, { before, order: 'newest-first', limit: 200 });
  }
  expect(seen).toEqual(replies.toReversed());

  const filter = { instanceId, agentSlug: undefined, source: undefined };
  const newest = await findInstanceEvents(em(), filter, { before: undefined, limit: 200 });
  expect([newest.events.map(({ seq }) => seq), newest.hasMore, newest.total]).toEqual([[10], true, 10]);
  const second = await findInstanceEvents(em(), filter, { before: 10, limit: 200 });
  expect([second.events.map(({ seq }) => seq), second.hasMore]).toEqual([[9, 8, 7, 6, 5, 4, 3, 2], true]);
  const oldest = await findAccountEvents(em(), { accountId, after: 0, limit: 200 });
  expect([oldest.events.map(({ seq }) => seq), oldest.oldestSeq, oldest.latestSeq]).toEqual([[1, 2, 3, 4, 5, 6, 7, 8], 1, 10]);
  const rest = await findAccountEvents(em(), { accountId, after: 8, limit: 200 });
  expect(rest.events.map(({ seq }) => seq)).toEqual([9, 10]);
});

test('as many deliveries are fetched as fit into the bytes that are asked for, at least one, the oldest first', async () => {
  const { accountId } = await turns.newInstance();
  const webhookId = turns.deps.makeId('wh');
  await turns.rows(
    `insert into webhooks (id, account_id, url, events, secret, secret_last4, enabled, failures, created_at) values (?, ?, 'https://8.8.8.8/', '{*}', 's', 'last', true, 0, now()) returning id`,
    [webhookId, accountId],
  );
  for (let number = 1; number <= 5; number += 1)
    await turns.rows(
      `insert into webhook_deliveries (id, webhook_id, event_id, event_type, body, created_at, next_attempt_at)
       values (?, ?, 'evt_1', 'agent.message', repeat('x', 1000), now(), now() - interval '1 hour' + ? * interval '1 minute') returning id`,
      [`dlv_${number}`, webhookId, number],
    );
  const fetched = async (bytes: number, limit = 100): Promise<string[]> =>
    (await findDueDeliveries(em(), { webhookId, limit, bytes, except: [] }))?.due.map(({ id }) => id) ?? [];
  expect(await fetched(1)).toEqual(['dlv_1']);
  expect(await fetched(2_000)).toEqual(['dlv_1', 'dlv_2']);
  expect(await fetched(2_001)).toEqual(['dlv_1', 'dlv_2', 'dlv_3']);
  expect(await fetched(1_000_000, 4)).toEqual(['dlv_1', 'dlv_2', 'dlv_3', 'dlv_4']);
  expect(await fetched(0)).toEqual([]);
});
