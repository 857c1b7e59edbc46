import { describe, expect, test } from '@jest/globals';
import { eventually } from '../support/eventually.ts';
import { breakdownsOf, expectKept, refuses, WEDGED } from './gateway-outcomes.ts';
import { productForEach, SHORT_PAUSES } from './product-under-test.ts';
import type { InstanceUnderTest, ProductUnderTest } from './product-under-test.ts';

let product: ProductUnderTest;
let instance: InstanceUnderTest;

productForEach((...given) => {
  [product, instance] = given;
}, SHORT_PAUSES);

interface Interval {
  bootId: string;
  isOpen: boolean;
  startedMs: number;
  endedMs: number | null;
  refusingMs: number | null;
}
const intervals = (): Promise<Interval[]> =>
  instance.sql(
    `select boot_id as "bootId", ended_at is null as "isOpen", (extract(epoch from started_at) * 1000)::float8 as "startedMs",
            (extract(epoch from ended_at) * 1000)::float8 as "endedMs", (extract(epoch from refusing_since) * 1000)::float8 as "refusingMs"
       from runtime_intervals where instance_id = ? order by started_at`,
  );

describe('the meter', () => {
  test('ends at the first refusal, never falls, and runs again with the next process', async () => {
    await eventually(async () => expect((await instance.view()).billedMs).toBeGreaterThan(0));
    const shown: number[] = [];
    const look = async (): Promise<void> => void shown.push((await instance.view()).billedMs);
    await look();
    instance.control.misbehave(refuses('another OpenClaw process owns state-lifecycle'));
    const messageId = await instance.say('Hello');
    const refusing = await eventually(async () => {
      const [first] = await intervals();
      if (!first?.refusingMs) throw new Error('It was not noted to refuse');
      return first;
    });
    await look();
    await instance.ageRefusals(60);
    await eventually(async () => expect(instance.starts()).toBe(2));
    await look();
    await instance.end(messageId);
    await eventually(async () => {
      await look();
      expect(await intervals()).toMatchObject([{ isOpen: false }, { isOpen: true }]);
    });
    const [first, second] = await intervals();
    expect(first?.endedMs).toBe(refusing.refusingMs);
    expect(second!.startedMs).toBeGreaterThan(first!.endedMs!);
    expect(shown).toEqual(shown.toSorted((one, other) => one - other));
  });

  test('runs on as if it had not stopped when refusals come to nothing', async () => {
    const before = await instance.bootId();
    instance.control.misbehave(refuses('another OpenClaw process owns state-lifecycle'));
    const messageId = await instance.say('Hello');
    await eventually(async () => expect((await intervals())[0]?.refusingMs).not.toBeNull());
    instance.control.behave();
    expect(await instance.end(messageId)).toMatchObject({ status: 'completed' });
    await eventually(async () => expect(await intervals()).toMatchObject([{ isOpen: true, refusingMs: null, bootId: before }]));
    expect(await instance.sql('select sign from gateway_refusals where instance_id = ?')).toEqual([]);
    await expectKept(instance, before);
  });
});

test('a refusal is counted once, though the gateway says it twice and two processes hear it', async () => {
  instance.control.misbehave(refuses('another OpenClaw process owns state-lifecycle'), { times: 1 });
  const messageId = await instance.say('[[HOLD once]] [[SAY Late.]]');
  await eventually(() => expect(instance.control.journal()).toContainEqual(expect.objectContaining({ what: 'began' })));
  await instance.end(await instance.say('Meanwhile', 'other'));
  expect(await instance.sql('select times from gateway_refusals where instance_id = ?')).toEqual([{ times: 1 }]);
  instance.control.release('once');
  expect(await instance.end(messageId)).toMatchObject({ status: 'completed', content: 'Late.' });
});

describe('the restarts of a gateway that stays broken', () => {
  test('are one in two minutes and three in an hour; then the instance is in error and the message has failed', async () => {
    instance.control.misbehave(refuses(WEDGED), { survivesRestart: true });
    const messageId = await instance.say('Hello');
    await eventually(async () => expect(await breakdownsOf(instance)).toBe(2));
    const [row] = await instance.sql<{ pauseMs: number }>(
      `select (extract(epoch from start_not_before - breakdowns[1]) * 1000)::float8 as "pauseMs" from instances where id = ?`,
    );
    expect(row?.pauseMs).toBe(120_000);
    expect(await instance.view()).toMatchObject({ status: 'provisioning', reasonCode: 'gateway_broken' });
    expect(instance.starts()).toBe(2);
    // Two minutes later, twice: the last one was so long ago each time.
    await instance.sql(
      `update instances set start_not_before = now(), breakdowns = (select array_agg(at - interval '3 minutes') from unnest(breakdowns) at)
        where id = ? returning id`,
    );
    await product.reconciler.wake(instance.instanceId);
    expect(await instance.end(messageId)).toMatchObject({ status: 'failed', errorMessage: expect.stringMatching(/./) });
    await eventually(async () => expect(await instance.view()).toMatchObject({ status: 'error', reasonCode: 'gateway_broken' }));
    expect(instance.starts()).toBe(4);
    expect((await intervals()).filter(({ isOpen }) => isOpen)).toEqual([]);
  });

  test('stop when it would refuse turns before it takes the first one', async () => {
    const refusal = { code: 'UNAVAILABLE', message: WEDGED };
    instance.control.misbehave({ kind: 'refuse-call', method: 'sessions.groups.rename', ...refusal }, { survivesRestart: true });
    instance.control.misbehave(refuses(WEDGED));
    const messageId = await instance.say('Hello');
    await eventually(async () => expect(await instance.view()).toMatchObject({ status: 'error', reasonCode: 'gateway_broken' }));
    expect((await instance.end(messageId)).status).not.toBe('pending');
  });
});

test('a message that kills its gateway twice is not tried again', async () => {
  instance.control.misbehave({ kind: 'die', at: 'beginning' }, { survivesRestart: true });
  expect(await instance.end(await instance.say('Hello'))).toMatchObject({ status: 'failed', errorReason: 'gateway_crashed' });
  expect(instance.starts()).toBeLessThanOrEqual(3);
});

test('a gateway that floods is heard, and answers', async () => {
  const before = await instance.bootId();
  instance.control.misbehave({ kind: 'flood', frames: 20_000, bytes: 1_000 });
  expect(await instance.end(await instance.say('Hello'))).toMatchObject({ status: 'completed', content: 'You said: Hello' });
  await expectKept(instance, before);
});
