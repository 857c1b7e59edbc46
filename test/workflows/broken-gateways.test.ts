import { describe, expect, test } from '@jest/globals';
import { eventually } from '../support/eventually.ts';
import type { Deed } from '../support/scripted-gateway/faults.ts';
import { breakdownsOf, expectReplaced, refuses, WEDGED } from './gateway-outcomes.ts';
import { productForEach, SHORT_PAUSES } from './product-under-test.ts';
import type { InstanceUnderTest, ProductUnderTest } from './product-under-test.ts';
import { connectRaw } from '../support/raw-gateway.ts';

let product: ProductUnderTest;
let instance: InstanceUnderTest;

productForEach((...given) => {
  [product, instance] = given;
}, SHORT_PAUSES);

const DRAINING: Deed = {
  ...{ kind: 'refuse', answer: 'first', code: 'UNAVAILABLE', message: 'agent unavailable during gateway restart' },
  ...{ details: { reason: 'gateway-restarting' }, retryable: true },
};

describe('a gateway that says that it is broken is replaced at its first refusal, and the message is answered once', () => {
  test.each([
    [WEDGED],
    ['Agent native close and lease cleanup failed'],
    ['Agent operation and cleanup failed'],
    ['Agent database executor cleanup is uncertain, restart OpenClaw'],
  ])('%j', async (text) => {
    const before = await instance.bootId();
    instance.control.misbehave(refuses(text));
    await expectReplaced(instance, before, await instance.say('Hello'));
  });
});

describe('a gateway that refuses for long enough is replaced, and the message is answered once', () => {
  test.each<[string, Deed]>([
    ['a lock', refuses('another OpenClaw process owns state-lifecycle')],
    ['a queue', refuses('SQLite worker queue capacity reached')],
    ['a worker', refuses('SQLite worker cleanup is pending; retry close before reopening')],
    ['an executor', refuses('Agent database execution admission is closed')],
    ['a text that is not known', refuses('no idea', 'first')],
    ['a restart that does not come', DRAINING],
    ['an inspection that does not end', refuses('agent-database-inspection-pending', 'first')],
    ['turns that are accepted and not begun', { kind: 'never-begin' }],
  ])('%s', async (_, deed) => {
    const before = await instance.bootId();
    instance.control.misbehave(deed);
    const messageId = await instance.say('Hello');
    await instance.ageRefusals(180);
    await expectReplaced(instance, before, messageId);
  });

  test('a readiness check that fails, while nobody sends anything', async () => {
    const before = await instance.bootId();
    instance.control.misbehave({ kind: 'unready', failing: ['plugin-reload'] });
    await instance.ageRefusals(60);
    await eventually(() => expect(instance.starts()).toBe(2));
    await eventually(async () => expect((await instance.view()).status).toBe('running'));
    await expectReplaced(instance, before, await instance.say('Hello'));
  });

  test('tools that are closed, though turns are answered', async () => {
    const before = await instance.bootId();
    const text = JSON.stringify({ status: 'error', tool: 'exec', error: 'Async work scope is closed' });
    instance.control.misbehave({ kind: 'tool-fails', text });
    // A watcher that is not connected yet does not hear of the first ones.
    await eventually(async () => {
      expect(await instance.end(await instance.say('First'))).toMatchObject({ status: 'completed' });
      expect(await instance.sql('select sign from gateway_refusals where instance_id = ?')).toEqual([{ sign: 'tools_closed' }]);
    });
    await instance.ageRefusals(60);
    expect(await instance.end(await instance.say('Second'))).toMatchObject({ status: 'completed' });
    await eventually(() => expect(instance.starts()).toBe(2));
    await eventually(async () => expect((await instance.view()).status).toBe('running'));
    await expectReplaced(instance, before, await instance.say('Hello'));
  });

  test('runs of jobs that are refused, while nobody sends anything', async () => {
    const { runtimeId, gatewayAgentId } = instance;
    instance.control.misbehave(refuses(WEDGED));
    const { driver, config } = product.reconciler.deps;
    const client = await connectRaw({ endpoints: driver, masterKeys: config.MASTER_KEYS }, runtimeId);
    await client.request('cron.add', {
      ...{ name: 'Digest', agentId: gatewayAgentId, enabled: true, declarationKey: 'thermidora:cron_1', deleteAfterRun: false },
      ...{ schedule: { kind: 'every', everyMs: 1_000 }, payload: { kind: 'agentTurn', message: 'Look.' } },
    });
    await eventually(async () => expect([instance.starts(), await breakdownsOf(instance)]).toEqual([2, 1]));
    await eventually(async () => expect((await instance.view()).status).toBe('running'));
  });

  test('a gateway that answers nothing any more is dead', async () => {
    const before = await instance.bootId();
    instance.control.misbehave({ kind: 'silent' });
    const messageId = await instance.say('Hello');
    expect(await instance.end(messageId)).toMatchObject({ status: 'completed', content: 'You said: Hello' });
    expect(await instance.bootId()).not.toBe(before);
    expect([instance.starts(), instance.answersTo(messageId)]).toEqual([2, 1]);
  });
});
