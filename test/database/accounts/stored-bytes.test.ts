import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { addUpStoredBytes, findStoredBytes } from '../../../database/accounts/stored-bytes.ts';
import { removeInstanceData } from '../../../database/instances/lifecycle/remove-instance.ts';
import { removeDeletedWebhooks, removeOldEvents } from '../../../database/retention/remove-old.ts';
import { makeId, newAccount, newAgent, newInstance, newTurn } from '../../factories.ts';
import type { NewAgent } from '../../factories.ts';
import { openTestOrm } from '../../support/test-database.ts';
import type { TestOrm } from '../../support/test-database.ts';

const ROW = 256;
const SECRETS = 300;

let database: TestOrm;
beforeAll(async () => {
  database = await openTestOrm();
});
afterAll(() => database.close());

const em = () => database.orm.em.fork();
const run = async (sql: string, values: unknown[] = []): Promise<void> => void (await em().execute(sql, values, 'run'));
const stored = (accountId: string) => findStoredBytes(em(), accountId);
const addUp = () => addUpStoredBytes(em(), new AbortController().signal);

/** One row of each kind that a customer can make grow, with texts of 1,000 bytes. Answers what they count for. */
async function fill({ accountId, instanceId, agentId }: NewAgent): Promise<{ webhookId: string; bytes: number }> {
  const text = 'ü'.repeat(500);
  const [webhookId, deliveryId, skillId, eventId] = [makeId('wh'), makeId('dlv'), makeId('skl'), makeId('evt')];
  await run(`insert into agent_files (agent_id, path, content, generation, updated_at) values (?, 'A.md', ?, 1, now())`, [
    agentId,
    text,
  ]);
  await run(`insert into instance_secrets (instance_id, key, value, updated_at) values (?, 'K', ?, now())`, [instanceId, text]);
  await run(
    `insert into instance_skills (id, instance_id, name, type, description, generation, created_at)
     values (?, ?, 's', 'custom', '', 1, now())`,
    [skillId, instanceId],
  );
  await run(`insert into skill_files (skill_id, path, content) values (?, 'a', ?), (?, 'b', ?)`, [skillId, text, skillId, text]);
  await run(
    `insert into cron_jobs (id, instance_id, agent_id, created_by, name, message, enabled, created_at, seen_at)
     values (?, ?, ?, 'api', 'j', ?, true, now(), now())`,
    [makeId('cron'), instanceId, agentId, text],
  );
  await run(
    `insert into events (id, account_id, seq, type, instance_id, content, created_at) values (?, ?, 1, 'agent.message', ?, ?, now())`,
    [eventId, accountId, instanceId, text],
  );
  await run(
    `insert into webhooks (id, account_id, instance_id, url, events, secret, secret_last4, created_at)
     values (?, ?, ?, 'https://example.com', '{}', '', '', now())`,
    [webhookId, accountId, instanceId],
  );
  await run(
    `insert into webhook_deliveries (id, webhook_id, event_id, event_type, body, status, created_at)
     values (?, ?, ?, 'agent.message', ?, 'succeeded', now())`,
    [deliveryId, webhookId, eventId, text],
  );
  await run(`insert into webhook_attempts (delivery_id, number, at, duration_ms, response) values (?, 1, now(), 1, ?)`, [
    deliveryId,
    text,
  ]);
  await run(
    `insert into idempotency_records (caller, method, path, key, fingerprint, answer, is_final, created_at)
     values (?, 'POST', '/', 'k', '', ?, true, now()), ('operator', 'POST', ?, 'k', '', ?, true, now())`,
    [accountId, text, accountId, text],
  );
  return { webhookId, bytes: 9 * (ROW + 1_000) };
}

test('every row that a customer or its gateways can add counts with its texts, until it is removed', async () => {
  const agent = await newAgent(database.orm);
  const { accountId, instanceId } = agent;
  const tombstones = 2 * ROW;
  expect(await stored(accountId)).toBe(tombstones);
  const { webhookId, bytes } = await fill(agent);
  const { messageId } = await newTurn(database.orm, agent);
  expect(await stored(accountId)).toBe(tombstones + bytes + 3 * ROW);
  await run(`update messages set content = ?, status = 'completed' where id = ?`, ['x'.repeat(5_000), messageId]);
  expect(await stored(accountId)).toBe(tombstones + bytes + 3 * ROW + 5_000);
  const attachments = '["a.txt"]';
  await run(`update messages set context = ?, attachments = ?::jsonb where agent_id = ? and role = 'user'`, [
    ...['ü'.repeat(500), attachments, agent.agentId],
  ]);
  const request = JSON.stringify({ instructions: 'x'.repeat(1_000) });
  await run(`insert into responses (message_id, account_id, request, created_at) values (?, ?, ?::jsonb, now())`, [
    ...[messageId, accountId, request],
  ]);
  const byDoors = 1_000 + attachments.length + ROW + '{"instructions": ""}'.length + 1_000;
  expect(await stored(accountId)).toBe(tombstones + bytes + 3 * ROW + 5_000 + byDoors);
  await addUp();
  expect(await stored(accountId)).toBe(tombstones + bytes + 3 * ROW + 5_000 + byDoors);

  await removeInstanceData(em(), instanceId, new AbortController().signal);
  await removeDeletedWebhooks(em(), { limit: 10 });
  await removeOldEvents(em(), { accountId, before: new Date(Date.now() + 60_000), limit: 10 });
  await run(`delete from idempotency_records`);
  expect(await stored(accountId)).toBe(tombstones);
  await addUp();
  expect(await stored(accountId)).toBe(tombstones);
  await run('delete from agents where instance_id = ?', [instanceId]);
  await run('delete from webhooks where instance_id = ?', [instanceId]);
  await run('delete from instances where id = ?', [instanceId]);
  expect(await stored(accountId)).toBe(0);
  expect(await em().execute('select 1 as one from webhook_deliveries where webhook_id = ?', [webhookId])).toEqual([]);
});

test('what one transaction stores counts for nobody before it is committed, and what is rolled back never does', async () => {
  const { accountId } = await newAccount(database.orm);
  const key = (id: string): [string, unknown[]] => [
    `insert into api_keys (id, account_id, name, hash, prefix, last4, created_at) values (?, ?, 'k', ?, '', '', now())`,
    [id, accountId, id],
  ];
  const own = em();
  await own.begin();
  await own.execute(...key('key_a'), 'run');
  expect([await findStoredBytes(own, accountId), await stored(accountId)]).toEqual([ROW, 0]);
  await own.rollback();
  await run(...key('key_b'));
  expect(await stored(accountId)).toBe(ROW);
});

test('whoever asks while changes are added up counts each of them once, also when several add up at once', async () => {
  const { accountId, instanceId } = await newInstance(database.orm);
  const progress = { written: 0, isOver: false };
  const isWriting = (): boolean => !progress.isOver;
  const writing = (async () => {
    for (; progress.written < SECRETS; progress.written += 1)
      await run(`insert into instance_secrets (instance_id, key, value, updated_at) values (?, ?, '', now())`, [
        instanceId,
        `K${progress.written}`,
      ]);
  })().finally(() => {
    progress.isOver = true;
  });
  const adding = [1, 2].map(async () => {
    while (isWriting()) await addUp();
  });
  while (isWriting()) {
    const least = progress.written;
    const bytes = await stored(accountId);
    expect(bytes / ROW).toBeGreaterThanOrEqual(least + 1);
    expect(bytes / ROW).toBeLessThanOrEqual(progress.written + 2);
  }
  await Promise.all([writing, ...adding]);
  await addUp();
  expect(await stored(accountId)).toBe((SECRETS + 1) * ROW);
  expect(await em().execute('select id from stored_bytes_changes where account_id = ?', [accountId])).toEqual([]);
});
