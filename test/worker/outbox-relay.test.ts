import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import type { MikroORM } from '@mikro-orm/postgresql';
import { Client, Connection } from '@temporalio/client';
import { pino } from 'pino';
import { listenToNotifications } from '../../database/notifications.ts';
import type { Notifications } from '../../database/notifications.ts';
import { createOrm } from '../../database/orm.ts';
import { outboxLag } from '../../database/processes/claim-outbox.ts';
import { wakeInstance } from '../../database/instances/sleep/wake-instance.ts';
import { instanceWorkflowId, SWEEP_BILLING_ID, SWEEP_DRIFT_ID, WAKE_SIGNAL } from '../../domain/temporal/workflow-ids.ts';
import { startOutboxRelay } from '../../worker/outbox-relay.ts';
import { openTemporalLink } from '../../worker/temporal/temporal-link.ts';
import { eventually } from '../support/eventually.ts';
import { createTestDatabase } from '../support/test-database.ts';
import type { TestDatabase } from '../support/test-database.ts';
import { makeId, newInstance } from '../factories.ts';
import { countOutbox } from './instance-rows.ts';
import { createTemporal } from './temporal-under-test.ts';
import type { TemporalUnderTest } from './temporal-under-test.ts';

/** The workflows of the wake-ups that failed, as relays say it. */
const failed: string[] = [];
const log = pino(
  { level: 'warn' },
  { write: (line: string) => void failed.push(String((JSON.parse(line) as { workflowId?: string }).workflowId)) },
);

let database: TestDatabase;
let orm: MikroORM;
let notifications: Notifications;
let temporal: TemporalUnderTest;

beforeAll(async () => {
  [database, temporal] = await Promise.all([createTestDatabase(), createTemporal()]);
  orm = await createOrm(database.url);
  notifications = listenToNotifications(database.url, log);
  await temporal.start();
});

afterAll(async () => {
  await temporal.close();
  await notifications.close();
  await orm.close();
  await database.drop();
});

const running: { stop(): Promise<void> }[] = [];

afterEach(async () => {
  for (const relay of running.splice(0)) await relay.stop();
});

type HandOver = (instanceId: string, signal: AbortSignal) => Promise<boolean>;

/** A relay with a connection of its own, as in a worker of its own. */
function startRelay(handOver: HandOver | null = null): void {
  const link = openTemporalLink({ TEMPORAL_ADDRESS: temporal.address, TEMPORAL_NAMESPACE: 'default', temporalEnv: {} }, log);
  const relay = startOutboxRelay({ orm, notifications, temporal: link, monotonicMs: () => performance.now(), handOver, log });
  running.push({
    async stop() {
      await relay.stop();
      await link.close();
    },
  });
}

async function withClient<T>(work: (client: Client) => Promise<T>): Promise<T> {
  const connection = await Connection.connect({ address: temporal.address });
  try {
    return await work(new Client({ connection }));
  } finally {
    await connection.close();
  }
}

/** How often the workflow of this instance was woken. Nobody works it off here. */
const wakesOf = (instanceId: string): Promise<number> =>
  withClient(async (client) => {
    const { events } = await client.workflow.getHandle(instanceWorkflowId(instanceId)).fetchHistory();
    return (events ?? []).filter((event) => event.workflowExecutionSignaledEventAttributes?.signalName === WAKE_SIGNAL).length;
  });

const wake = (instanceId: string): Promise<void> => wakeInstance(orm.em.fork(), instanceId);

/** Once for each batch of its rows at most; a wake-up that failed may have been one all the same, and is repeated. */
async function expectWoken(instanceId: string, { batches }: { batches: number }): Promise<void> {
  const wakes = await wakesOf(instanceId);
  const repeated = failed.filter((workflowId) => workflowId === instanceWorkflowId(instanceId)).length;
  expect(wakes).toBeGreaterThanOrEqual(1);
  expect(wakes).toBeLessThanOrEqual(batches + repeated);
}

test('ten wake-ups of one instance make one signal; each instance has a workflow of its own that operators can find', async () => {
  const [one, other] = [await newInstance(orm), await newInstance(orm)];
  await orm.em.transactional(async (em) => {
    for (let count = 0; count < 10; count += 1) await wakeInstance(em, one.instanceId);
    await wakeInstance(em, other.instanceId);
  });
  startRelay();
  await eventually(async () => expect(await countOutbox(orm)).toBe(0));
  await expectWoken(one.instanceId, { batches: 1 });
  await expectWoken(other.instanceId, { batches: 1 });
  await withClient(async (client) => {
    await eventually(async () => {
      const found: string[] = [];
      const query = `AccountId = '${one.accountId}' and InstanceId = '${one.instanceId}'`;
      for await (const { workflowId } of client.workflow.list({ query })) found.push(workflowId);
      expect(found).toEqual([instanceWorkflowId(one.instanceId)]);
    });
  });
});

test('the workflow of a new instance is woken only when the instance is not handed over, however that ends', async () => {
  const unstarted = () => newInstance(orm, { status: 'provisioning' });
  const [done, left, failing] = [await unstarted(), await unstarted(), await unstarted()];
  const used = await newInstance(orm, { epoch: 1 });
  const asked: string[] = [];
  startRelay(async (instanceId) => {
    asked.push(instanceId);
    if (instanceId === failing.instanceId) throw new Error('the gateway is gone');
    return instanceId === done.instanceId;
  });
  for (const { instanceId } of [done, left, failing, used]) await wake(instanceId);
  await eventually(async () => expect(await countOutbox(orm)).toBe(0));
  for (const { instanceId } of [left, failing, used]) await expectWoken(instanceId, { batches: 1 });
  await expect(wakesOf(done.instanceId)).rejects.toThrow(/not found/i);
  expect(asked.toSorted()).toEqual([done, left, failing].map(({ instanceId }) => instanceId).toSorted());
});

test('a hand-over that lasts holds up no other instance, and is given up when the relay stops', async () => {
  const [slow, other] = [await newInstance(orm, { status: 'provisioning' }), await newInstance(orm, { epoch: 1 })];
  startRelay(
    (_instanceId, signal) => new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(new Error('over')))),
  );
  await wake(slow.instanceId);
  await wake(other.instanceId);
  await eventually(async () => expect(await countOutbox(orm, other.instanceId)).toBe(0));
  await running.pop()?.stop();
  expect(await countOutbox(orm, slow.instanceId)).toBe(1);
  startRelay();
  await eventually(async () => expect(await countOutbox(orm)).toBe(0));
  await expectWoken(slow.instanceId, { batches: 1 });
});

test('a workflow that cannot be woken keeps its row and holds up no other one', async () => {
  const unwakeable = await newInstance(orm, { id: `inst_${'x'.repeat(2_000)}` });
  await wake(unwakeable.instanceId);
  startRelay();
  const others = await Promise.all(Array.from({ length: 20 }, () => newInstance(orm)));
  for (const { instanceId } of others) await wake(instanceId);
  await eventually(async () => expect(await countOutbox(orm)).toBe(1));
  expect(await countOutbox(orm, unwakeable.instanceId)).toBe(1);
  for (const { instanceId } of others) await expectWoken(instanceId, { batches: 1 });
  await orm.em.fork().execute('delete from outbox');
});

test('two relays at once lose no row, and no relay sends one for ever', async () => {
  const instances = await Promise.all(Array.from({ length: 60 }, () => newInstance(orm)));
  startRelay();
  startRelay();
  for (const { instanceId } of instances) {
    await wake(instanceId);
    await wake(instanceId);
  }
  await eventually(async () => expect(await countOutbox(orm)).toBe(0));
  for (const { instanceId } of instances) await expectWoken(instanceId, { batches: 2 });
});

test('what a relay claimed and never sent, because it was killed, is sent by the next one when its claim is over', async () => {
  const { instanceId } = await newInstance(orm);
  await orm.em
    .fork()
    .execute(
      `insert into outbox (workflow, subject_id, claimed_until) values ('reconcileInstance', ?, now() + interval '2 seconds')`,
      [instanceId],
    );
  startRelay();
  await eventually(async () => expect(await countOutbox(orm)).toBe(0));
  await expectWoken(instanceId, { batches: 1 });
});

/** A relay that has found its Temporal: what comes now is the doing of the test. */
async function startSending(): Promise<void> {
  startRelay();
  const { instanceId } = await newInstance(orm);
  await wake(instanceId);
  await eventually(async () => expect(await countOutbox(orm)).toBe(0));
}

test('while Temporal is away the rows wait; when it is back they are sent, and its schedules are there', async () => {
  await startSending();

  await temporal.kill();
  const { instanceId } = await newInstance(orm);
  await wake(instanceId);
  await wake(instanceId);
  await eventually(async () => expect((await outboxLag(orm.em.fork())).oldestSeconds).toBeGreaterThan(2));
  expect((await outboxLag(orm.em.fork())).rows).toBe(2);

  await temporal.start();
  await eventually(async () => expect(await countOutbox(orm)).toBe(0));
  // The relay may have taken the first row before the second one was there.
  await expectWoken(instanceId, { batches: 2 });
  await eventually(() => withClient((client) => client.schedule.getHandle(SWEEP_DRIFT_ID).describe()));
});

test('a Temporal that lost its store gets its search attributes and schedules again, and the rows are sent', async () => {
  await startSending();

  await temporal.kill();
  await temporal.loseStore();
  await temporal.start();
  const { instanceId } = await newInstance(orm, { id: makeId('inst') });
  await wake(instanceId);
  await eventually(async () => expect(await countOutbox(orm)).toBe(0));
  await expectWoken(instanceId, { batches: 1 });
  await eventually(() => withClient((client) => client.schedule.getHandle(SWEEP_DRIFT_ID).describe()));
});

test('a schedule that was made runs at once, not first at the next full minute', async () => {
  await eventually(async () => {
    const { info } = await withClient((client) => client.schedule.getHandle(SWEEP_BILLING_ID).describe());
    expect(info.recentActions.filter(({ scheduledAt }) => scheduledAt.getTime() % 60_000 !== 0)).not.toEqual([]);
  });
});
