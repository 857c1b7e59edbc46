import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { eventually } from '../support/eventually.ts';
import type { Deed } from '../support/scripted-gateway/faults.ts';
import { REPAIR_MS, startProduct } from './product-under-test.ts';
import type { InstanceUnderTest, ProductUnderTest } from './product-under-test.ts';
import { changeContent } from './shapes.ts';

jest.setTimeout(2 * REPAIR_MS);

let product: ProductUnderTest;
let instance: InstanceUnderTest;

beforeAll(async () => {
  product = await startProduct();
}, REPAIR_MS);
afterAll(() => product.close(), REPAIR_MS);
beforeEach(async () => {
  instance = await product.newInstance();
});
afterEach(async () => {
  await product.reconciler.power(instance.instanceId, 'destroy');
});

const refuses = (message: string, answer: 'first' | 'second' = 'second'): Deed => ({
  kind: 'refuse',
  answer,
  code: 'UNAVAILABLE',
  message,
});
const DRAINING: Deed = {
  ...{ kind: 'refuse', answer: 'first', code: 'UNAVAILABLE', message: 'agent unavailable during gateway restart' },
  ...{ details: { reason: 'gateway-restarting' }, retryable: true },
};
const WEDGED = 'Agent database cleanup failed';

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
const breakdowns = async (): Promise<number> => {
  const [row] = await instance.sql<{ count: number }>(
    'select coalesce(array_length(breakdowns, 1), 0) as count from instances where id = ?',
  );
  return row?.count ?? 0;
};

/** Another process has taken its place, once, and answered the message, once. */
async function expectReplaced(before: string | null, messageId: string, content: string): Promise<void> {
  expect(await instance.end(messageId)).toMatchObject({ status: 'completed', content });
  await eventually(async () => expect(await instance.view()).toMatchObject({ status: 'running', reasonCode: null }));
  expect(await instance.bootId()).not.toBe(before);
  expect([instance.starts(), instance.answersTo(messageId), await breakdowns()]).toEqual([2, 1, 1]);
}

/** It was left as it was. */
async function expectKept(before: string | null): Promise<void> {
  expect((await instance.view()).status).toBe('running');
  expect([await instance.bootId(), instance.starts(), await breakdowns()]).toEqual([before, 1, 0]);
}

describe('a gateway that says that it is broken is replaced at its first refusal, and the message is answered once', () => {
  test.each([
    [WEDGED],
    ['Agent native close and lease cleanup failed'],
    ['Agent operation and cleanup failed'],
    ['Agent database executor cleanup is uncertain, restart OpenClaw'],
  ])('%j', async (text) => {
    const before = await instance.bootId();
    instance.control.misbehave(refuses(text));
    await expectReplaced(before, await instance.say('Hello'), 'You said: Hello');
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
    await expectReplaced(before, messageId, 'You said: Hello');
  });

  test('a readiness check that fails, while nobody sends anything', async () => {
    const before = await instance.bootId();
    instance.control.misbehave({ kind: 'unready', failing: ['plugin-reload'] });
    await instance.ageRefusals(60);
    await eventually(() => expect(instance.starts()).toBe(2), REPAIR_MS);
    await eventually(async () => expect((await instance.view()).status).toBe('running'), REPAIR_MS);
    await expectReplaced(before, await instance.say('Hello'), 'You said: Hello');
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
    await eventually(() => expect(instance.starts()).toBe(2), REPAIR_MS);
    await eventually(async () => expect((await instance.view()).status).toBe('running'), REPAIR_MS);
    await expectReplaced(before, await instance.say('Hello'), 'You said: Hello');
  });

  test('runs of jobs that are refused, while nobody sends anything', async () => {
    const { runtimeId, gatewayAgentId } = instance;
    instance.control.misbehave(refuses(WEDGED));
    const client = await product.reconciler.deps.connections.get(runtimeId, AbortSignal.timeout(REPAIR_MS));
    await client.request('cron.add', {
      ...{ name: 'Digest', agentId: gatewayAgentId, enabled: true, declarationKey: 'thermidora:cron_1', deleteAfterRun: false },
      ...{ schedule: { kind: 'every', everyMs: 1_000 }, payload: { kind: 'agentTurn', message: 'Look.' } },
    });
    await eventually(async () => expect([instance.starts(), await breakdowns()]).toEqual([2, 1]), REPAIR_MS);
    await eventually(async () => expect((await instance.view()).status).toBe('running'), REPAIR_MS);
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

describe('what another process would not mend is said, without a restart', () => {
  test.each([
    ['a full disk', 'database or disk is full', 'disk_full', /disk of the instance is full/],
    [
      'the data of an agent',
      'OpenClaw agent database /a/b is quarantined after integrity verification failed',
      'agent_damaged',
      /cannot read the data of this agent/,
    ],
    ['an owner', 'Refused agent alpha: agent-database-ownership-mismatch', 'agent_damaged', /cannot read the data of this agent/],
    [
      'a newer schema',
      'The database has a newer schema than this OpenClaw',
      'agent_damaged',
      /cannot read the data of this agent/,
    ],
  ])('%s ends the turn with a sentence and is the reason of the instance', async (_, text, code, sentence) => {
    const before = await instance.bootId();
    instance.control.misbehave(refuses(text));
    const turn = await instance.end(await instance.say('Hello'));
    expect(turn).toMatchObject({ status: 'failed', errorReason: 'agent_failed', errorMessage: expect.stringMatching(sentence) });
    expect(await instance.view()).toMatchObject({ reasonCode: code });
    await expectKept(before);
  });

  test.each<[string, Deed]>([
    ['by a refusal', refuses('OpenClaw state database /a/b is quarantined after integrity verification failed')],
    ['by its readiness check', { kind: 'unready', failing: ['state-database'] }],
  ])('data that all agents share ends in error, seen %s', async (_, deed) => {
    instance.control.misbehave(deed, { survivesRestart: true });
    const messageId = await instance.say('[[HOLD never]]');
    if (deed.kind === 'unready') await instance.ageRefusals(60);
    expect(await instance.end(messageId)).toMatchObject({ status: 'failed', errorMessage: expect.stringMatching(/./) });
    await eventually(async () =>
      expect(await instance.view()).toMatchObject({ status: 'error', reasonCode: 'gateway_damaged', reasonRetryable: false }),
    );
    expect(instance.starts()).toBe(1);
  });

  test('the data of one agent, named by the readiness check, is the reason of the instance', async () => {
    const before = await instance.bootId();
    instance.control.misbehave({ kind: 'unready', failing: ['agent-database:beta'] });
    await eventually(async () => expect(await instance.view()).toMatchObject({ reasonCode: 'agent_damaged' }));
    expect(await instance.end(await instance.say('Hello'))).toMatchObject({ status: 'completed' });
    await expectKept(before);
  });

  test('a configuration that is not taken up is the reason of the instance, which answers on', async () => {
    const before = await instance.bootId();
    instance.control.misbehave({ kind: 'ignore-config' });
    await changeContent(product.reconciler, instance);
    await product.reconciler.wake(instance.instanceId);
    await eventually(async () => expect(await instance.view()).toMatchObject({ reasonCode: 'config_refused' }), REPAIR_MS);
    expect(await instance.end(await instance.say('Hello'))).toMatchObject({ status: 'completed' });
    await expectKept(before);
  });

  test.each([
    ['a provider that cools down', 'Provider relay-alpha is in cooldown (billing). Try again later.', 'model_error'],
    ['an agent that fails', 'something else', 'agent_failed'],
  ])('%s ends the turn with a sentence', async (_, message, reason) => {
    const before = await instance.bootId();
    instance.control.misbehave({ kind: 'fail', message });
    const turn = await instance.end(await instance.say('Hello'));
    expect(turn).toMatchObject({ status: 'failed', errorReason: reason, errorMessage: expect.stringMatching(/./) });
    await expectKept(before);
  });

  test('eight turns that hang leave room for no other, which waits', async () => {
    const before = await instance.bootId();
    const held = [];
    for (let index = 0; index < 8; index += 1) held.push(await instance.say('[[HOLD slots]] held', `c${index}`));
    await eventually(() => expect(instance.control.journal().filter(({ what }) => what === 'began')).toHaveLength(8), REPAIR_MS);
    const waiting = await instance.say('Hello', 'waiting');
    await instance.ageRefusals(180, 20);
    await instance.ageRefusals(400, 20);
    await expectKept(before);
    instance.control.release('slots');
    for (const messageId of [...held, waiting]) expect(await instance.end(messageId)).toMatchObject({ status: 'completed' });
    await expectKept(before);
  });
});

describe('what lies in one conversation ends there, without a restart', () => {
  test.each<[string, Deed]>([
    ['refused', refuses('another OpenClaw process owns state-lifecycle')],
    ['accepted and not begun', { kind: 'never-begin' }],
  ])('one that is %s while others are answered ends as agent_failed', async (_, deed) => {
    const before = await instance.bootId();
    await instance.end(await instance.say('Hello', 'bad'));
    const [{ id }] = (await instance.sql<{ id: string }>(
      'select conversation_id as id from messages where instance_id = ? limit 1',
    )) as [{ id: string }];
    instance.control.misbehave(deed, { sessionKey: `agent:${instance.gatewayAgentId}:conv:${id}` });
    const refused = await instance.say('Hello again', 'bad');
    await instance.ageRefusals(180, 6);
    const other = await instance.say('Meanwhile', 'good');
    expect(await instance.end(other)).toMatchObject({ status: 'completed' });
    const turn = await instance.end(refused);
    expect(turn).toMatchObject({ status: 'failed', errorReason: 'agent_failed', errorMessage: expect.stringMatching(/./) });
    await expectKept(before);
  });

  test('a start that is stuck ends its turn, also when nothing else is asked', async () => {
    const before = await instance.bootId();
    instance.control.misbehave(refuses('Session "x" changed while starting work. Retry. | SESSION_WORK_START_CHANGED'));
    const messageId = await instance.say('Hello');
    await instance.ageRefusals(180);
    expect(await instance.end(messageId)).toMatchObject({ status: 'failed', errorReason: 'agent_failed' });
    await expectKept(before);
  });

  test.each(['first', 'second'] as const)(
    'one that the gateway gave up begins anew, refused by the %s answer',
    async (answer) => {
      const before = await instance.bootId();
      instance.control.misbehave(refuses('This session ended during restart recovery. Use /new or /reset.', answer), {
        times: 1,
      });
      const messageId = await instance.say('Hello');
      expect(await instance.end(messageId)).toMatchObject({ status: 'completed', content: 'You said: Hello' });
      expect(instance.answersTo(messageId)).toBe(1);
      await expectKept(before);
    },
  );

  test('one that stays given up ends as agent_failed', async () => {
    const before = await instance.bootId();
    instance.control.misbehave(refuses('This session was quarantined after restart recovery exhaustion.'));
    expect(await instance.end(await instance.say('Hello'))).toMatchObject({ status: 'failed', errorReason: 'agent_failed' });
    await expectKept(before);
  });
});

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
    await eventually(async () => expect(instance.starts()).toBe(2), REPAIR_MS);
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
    instance.control.misbehave(refuses('another OpenClaw process owns state-lifecycle'), { times: 1 });
    const messageId = await instance.say('Hello');
    await eventually(async () => expect((await intervals())[0]?.refusingMs).not.toBeNull());
    expect(await instance.end(messageId)).toMatchObject({ status: 'completed' });
    await eventually(async () => expect(await intervals()).toMatchObject([{ isOpen: true, refusingMs: null, bootId: before }]));
    expect(await instance.sql('select sign from gateway_refusals where instance_id = ?')).toEqual([]);
    await expectKept(before);
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
    await eventually(async () => expect(await breakdowns()).toBe(2), REPAIR_MS);
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
    await eventually(
      async () => expect(await instance.view()).toMatchObject({ status: 'error', reasonCode: 'gateway_broken' }),
      REPAIR_MS,
    );
    expect((await instance.end(messageId)).status).not.toBe('pending');
  });
});

test('a message that kills its gateway twice is not tried again', async () => {
  instance.control.misbehave({ kind: 'die' }, { survivesRestart: true });
  expect(await instance.end(await instance.say('Hello'))).toMatchObject({ status: 'failed', errorReason: 'gateway_crashed' });
  expect(instance.starts()).toBeLessThanOrEqual(3);
});

test('a gateway that floods is heard, and answers', async () => {
  const before = await instance.bootId();
  instance.control.misbehave({ kind: 'flood', frames: 20_000, bytes: 1_000 });
  expect(await instance.end(await instance.say('Hello'))).toMatchObject({ status: 'completed', content: 'You said: Hello' });
  await expectKept(before);
});
