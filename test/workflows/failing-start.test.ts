import { afterEach, expect, test } from '@jest/globals';
import { dyingGateway, startReconciler } from './reconciler-under-test.ts';
import type { NewInstance, ReconcilerUnderTest } from './reconciler-under-test.ts';

let reconciler: ReconcilerUnderTest;
afterEach(() => reconciler.close());

/** A turn that waits for its gateway. */
async function insertTurn(
  { orm, makeId }: ReconcilerUnderTest,
  { instanceId, accountId, agentId }: NewInstance,
): Promise<string> {
  const [conversationId, messageId] = [makeId('conv'), makeId('msg')];
  const em = orm.em.fork();
  await em.execute(`insert into conversations (id, agent_id, session_id, last_number, created_at) values (?, ?, '', 1, now())`, [
    conversationId,
    agentId,
  ]);
  for (const [id, role, status] of [
    [makeId('msg'), 'user', null],
    [messageId, 'agent', 'pending'],
  ])
    await em.execute(
      `insert into messages (id, account_id, instance_id, agent_id, conversation_id, number, role, content, sender_type, sender_id,
                             sender_name, created_at, status, owner)
       values (?, ?, ?, ?, ?, 1, ?, '', 'user', 'u', 'u', now(), ?, 'shard')`,
      [id, accountId, instanceId, agentId, conversationId, role, status],
    );
  return messageId;
}

test.each([
  { exitCode: 1, reason: 'gateway_died', deaths: 5 },
  { exitCode: 78, reason: 'config_refused', deaths: 1 },
])(
  'a gateway that ends with code $exitCode ends in error after $deaths starts, and so do its turns',
  async ({ exitCode, reason, deaths }) => {
    reconciler = await startReconciler({ program: dyingGateway(exitCode) });
    const instance = await reconciler.newInstance();
    const messageId = await insertTurn(reconciler, instance);
    await reconciler.power(instance.instanceId, 'start');
    await reconciler.reconcile(instance.instanceId);
    expect(await reconciler.statusOf(instance.instanceId)).toMatchObject({
      status: 'error',
      reason,
      deaths,
      transition: null,
      bootId: null,
      hasSlot: false,
      openIntervals: 0,
    });
    expect(await reconciler.driver.inspect(instance.runtimeId)).toMatchObject({ status: 'exited' });
    const em = reconciler.orm.em.fork();
    expect(await em.execute('select status, error_reason as reason from messages where id = ?', [messageId])).toEqual([
      { status: 'failed', reason: 'gateway_crashed' },
    ]);
    expect(await em.execute('select error_code as code from events where message_id = ?', [messageId])).toEqual([
      { code: 'gateway_crashed' },
    ]);
  },
  120_000,
);
