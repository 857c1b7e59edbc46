import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { sweepRetention } from '../../activities/webhooks/sweep-retention.ts';
import { hideConversation } from '../../database/messages/conversations.ts';
import { removeInstanceData } from '../../database/instances/lifecycle/remove-instance.ts';
import { createLog } from '../../lib/log.ts';
import { makeId, newAccount, newAgent, newInstance, newTurn } from '../factories.ts';
import type { NewAgent } from '../factories.ts';
import { openTestOrm } from '../support/test-database.ts';
import type { TestOrm } from '../support/test-database.ts';
import { attempt } from './kill-points.ts';

const DAY_MS = 24 * 60 * 60_000;
const keep = { AUDIT_DAYS: 10, MODEL_CALL_DAYS: 20, TOMBSTONE_DAYS: 30 };

let database: TestOrm;
beforeAll(async () => {
  database = await openTestOrm();
});
afterAll(() => database.close());

const em = () => database.orm.em.fork();
const sql = <Row = { id: string }>(statement: string, values: unknown[] = []): Promise<Row[]> =>
  em().execute<Row[]>(statement, values);
const daysAgo = (days: number) => new Date(Date.now() - days * DAY_MS);
const sweep = () =>
  attempt(() =>
    sweepRetention({
      ...{ orm: database.orm, clock: () => new Date(), drain: new AbortController().signal, keep },
      log: createLog('test', 'silent'),
    }),
  );

async function audited(at: Date): Promise<string> {
  const [row] = await sql(
    `insert into audit_entries (id, account_id, at, actor, action) values (?, 'acc_gone', ?, 'system', 'a') returning id`,
    [makeId('aud'), at],
  );
  return row!.id;
}

async function called({ accountId, instanceId, agentId }: NewAgent, at: Date): Promise<string> {
  const [row] = await sql(
    `insert into model_calls (account_id, instance_id, agent_id, model, input_tokens, output_tokens, at)
     values (?, ?, ?, 'm', 1, 1, ?) returning id::text`,
    [accountId, instanceId, agentId, at],
  );
  return row!.id;
}

async function keyOf(accountId: string, values: { revokedAt?: Date; expiresAt?: Date }): Promise<string> {
  const id = makeId('key');
  await sql(
    `insert into api_keys (id, account_id, name, hash, prefix, last4, created_at, revoked_at, expires_at)
     values (?, ?, 'k', ?, '', '', now(), ?, ?) returning id`,
    [id, accountId, id, values.revokedAt ?? null, values.expiresAt ?? null],
  );
  return id;
}

const idsOf = async (table: string, accountId?: string): Promise<string[]> =>
  (
    await sql(
      `select id::text from ${table} ${accountId ? 'where account_id = ?' : ''} order by id`,
      accountId ? [accountId] : [],
    )
  ).map(({ id }) => id);

/** An instance with an agent, both deleted then, as the step that destroys it leaves them. */
async function deleted(at: Date): Promise<NewAgent> {
  const agent = await newAgent(database.orm);
  await newTurn(database.orm, agent);
  await removeInstanceData(em(), agent.instanceId, new AbortController().signal);
  await sql('update agents set deleted_at = ?, removed_at = ? where instance_id = ? returning id', [at, at, agent.instanceId]);
  await sql(`update instances set deleted_at = ?, desired_status = 'destroyed' where id = ? returning id`, [
    at,
    agent.instanceId,
  ]);
  return agent;
}

test('lines of the audit and model calls go once they are older than they are kept, in as many batches as they take', async () => {
  const agent = await newAgent(database.orm);
  const kept = [await audited(daysAgo(9))];
  await audited(daysAgo(11));
  await sql(
    `insert into audit_entries (id, at, actor, action) select 'aud_' || n, ?, 'system', 'a' from generate_series(1, 4500) n returning id`,
    [daysAgo(400)],
  );
  const calls = [await called(agent, daysAgo(25)), await called(agent, daysAgo(19)), await called(agent, daysAgo(0))];
  expect(await sweep()).toMatchObject({ audit: 4_501, modelCalls: 1 });
  expect([await idsOf('audit_entries'), await idsOf('model_calls')]).toEqual([kept, calls.slice(1).toSorted()]);
  expect(await sweep()).toMatchObject({ audit: 0, modelCalls: 0 });
});

test('keys go that were revoked or expired long ago', async () => {
  const { accountId } = await newAccount(database.orm);
  const kept = [
    await keyOf(accountId, {}),
    await keyOf(accountId, { revokedAt: daysAgo(29) }),
    await keyOf(accountId, { expiresAt: daysAgo(-1) }),
  ];
  await keyOf(accountId, { revokedAt: daysAgo(31) });
  await keyOf(accountId, { expiresAt: daysAgo(31) });
  await sweep();
  expect(await idsOf('api_keys', accountId)).toEqual(kept.toSorted());
});

test('deleted instances and agents go when nothing points at them, and never before they are old', async () => {
  const [old, recent, called1] = [await deleted(daysAgo(31)), await deleted(daysAgo(29)), await deleted(daysAgo(31))];
  await called(called1, daysAgo(1));
  const live = await newInstance(database.orm);
  const spoken = await newAgent(database.orm, { deletedAt: daysAgo(31), removedAt: daysAgo(31) });
  await newTurn(database.orm, spoken);
  await sweep();
  const left = async ({ accountId }: { accountId: string }) => [
    await idsOf('instances', accountId),
    await idsOf('agents', accountId),
  ];
  expect(await left(old)).toEqual([[], []]);
  for (const kept of [recent, called1, spoken]) expect(await left(kept)).toEqual([[kept.instanceId], [kept.agentId]]);
  expect(await left(live)).toEqual([[live.instanceId], []]);
});

test('what was billed stays with its instance, however old it is', async () => {
  const { accountId, instanceId } = await deleted(daysAgo(4_000));
  const interval = makeId('int');
  await sql(
    `insert into runtime_intervals (id, instance_id, account_id, boot_id, started_at, ended_at) values (?, ?, ?, 'b', ?, ?) returning id`,
    [interval, instanceId, accountId, daysAgo(4_001), daysAgo(4_000)],
  );
  await sweep();
  expect([await idsOf('instances', accountId), await idsOf('runtime_intervals', accountId)]).toEqual([[instanceId], [interval]]);
});

test('network addresses that asked for login codes go an hour after their code has expired, and 90 days after their last login', async () => {
  const { accountId } = await newAccount(database.orm);
  const minutesAgo = (minutes: number) => new Date(Date.now() - minutes * 60_000);
  const asked = (requester: string, expiresAt: Date, provenAt: Date | null) =>
    sql(
      `insert into requester_login_codes (account_id, requester, code_hash, expires_at, tries_left, sent_at, proven_at)
       values (?, ?, 'hash', ?, 5, '{}', ?) returning requester as id`,
      [accountId, requester, expiresAt, provenAt],
    );
  await asked('192.0.2.1', minutesAgo(58), null);
  await asked('192.0.2.2', minutesAgo(62), null);
  await asked('192.0.2.3', daysAgo(89), daysAgo(89.9));
  await asked('192.0.2.4', daysAgo(89), daysAgo(90.1));
  await sql(
    `insert into requester_login_codes (account_id, requester, code_hash, expires_at, tries_left, sent_at)
     select ?, n::text, 'hash', ?, 5, '{}' from generate_series(1, 4500) n returning requester as id`,
    [accountId, daysAgo(1)],
  );
  await sweep();
  const left = await sql('select requester as id from requester_login_codes order by requester');
  expect(left).toEqual([{ id: '192.0.2.1' }, { id: '192.0.2.3' }]);
});

test('messages of deleted conversations go without their gateway, but for those of turns that it must still abort', async () => {
  const agent = await newAgent(database.orm);
  const [gone, abortDue, kept] = [
    await newTurn(database.orm, agent, { status: 'completed' }),
    await newTurn(database.orm, agent, { status: 'cancelled', abortDue: true }),
    await newTurn(database.orm, agent, { status: 'completed' }),
  ];
  for (const { conversationId: name } of [gone, abortDue])
    await hideConversation(em(), { agentId: agent.agentId, name, now: new Date() });
  await sweep();
  const left = await sql<{ conversation: string }>(
    'select distinct conversation_id as conversation from messages where agent_id = ? order by 1',
    [agent.agentId],
  );
  expect(left.map(({ conversation }) => conversation)).toEqual([abortDue.conversationId, kept.conversationId].toSorted());
});

test('steps of turns go after thirty days, and their messages stay', async () => {
  const agent = await newAgent(database.orm);
  const ids = [];
  for (const days of [31, 29]) {
    const { messageId } = await newTurn(database.orm, agent);
    ids.push(messageId);
    await sql(
      `insert into message_steps (message_id, account_id, steps, created_at) values (?, ?, '[]', ?) returning message_id as id`,
      [messageId, agent.accountId, daysAgo(days)],
    );
  }
  await sweep();
  const kept = await sql('select message_id as id from message_steps where account_id = ?', [agent.accountId]);
  expect(kept.map(({ id }) => id)).toEqual(ids.slice(1));
  expect(await sql('select id from messages where id in (?, ?)', ids)).toHaveLength(2);
});
