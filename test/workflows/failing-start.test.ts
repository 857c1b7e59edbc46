import { afterEach, expect, test } from '@jest/globals';
import { newTurn } from '../factories.ts';
import { dyingGateway, startReconciler } from './reconciler-under-test.ts';
import type { ReconcilerUnderTest } from './reconciler-under-test.ts';

let reconciler: ReconcilerUnderTest;
afterEach(() => reconciler.close());

test.each([
  { exitCode: 1, reason: 'gateway_died', deaths: 5 },
  { exitCode: 78, reason: 'config_refused', deaths: 1 },
])(
  'a gateway that ends with code $exitCode ends in error after $deaths starts, and so do its turns',
  async ({ exitCode, reason, deaths }) => {
    reconciler = await startReconciler({ program: dyingGateway(exitCode) });
    const instance = await reconciler.newInstance();
    const { messageId } = await newTurn(reconciler.orm, instance, { owner: 'shard' });
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
);
