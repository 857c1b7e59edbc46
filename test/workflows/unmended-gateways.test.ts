import { describe, expect, test } from '@jest/globals';
import { eventually } from '../support/eventually.ts';
import type { Deed } from '../support/scripted-gateway/faults.ts';
import { expectKept, refuses } from './gateway-outcomes.ts';
import { productForEach, SHORT_PAUSES } from './product-under-test.ts';
import type { InstanceUnderTest, ProductUnderTest } from './product-under-test.ts';
import { changeContent } from './content-changes.ts';

let product: ProductUnderTest;
let instance: InstanceUnderTest;

productForEach((...given) => {
  [product, instance] = given;
}, SHORT_PAUSES);

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
    await expectKept(instance, before);
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
    await expectKept(instance, before);
  });

  test('a configuration that is not taken up is the reason of the instance, which answers on', async () => {
    const before = await instance.bootId();
    instance.control.misbehave({ kind: 'ignore-config' });
    await changeContent(product.reconciler, instance);
    await product.reconciler.wake(instance.instanceId);
    await eventually(async () => expect(await instance.view()).toMatchObject({ reasonCode: 'config_refused' }));
    expect(await instance.end(await instance.say('Hello'))).toMatchObject({ status: 'completed' });
    await expectKept(instance, before);
  });

  test.each([
    ['a provider that cools down', 'Provider relay-alpha is in cooldown (billing). Try again later.', 'model_error'],
    ['an agent that fails', 'something else', 'agent_failed'],
  ])('%s ends the turn with a sentence', async (_, message, reason) => {
    const before = await instance.bootId();
    instance.control.misbehave({ kind: 'fail', message });
    const turn = await instance.end(await instance.say('Hello'));
    expect(turn).toMatchObject({ status: 'failed', errorReason: reason, errorMessage: expect.stringMatching(/./) });
    await expectKept(instance, before);
  });

  test('eight turns that hang leave room for no other, which waits', async () => {
    const before = await instance.bootId();
    const held = [];
    for (let index = 0; index < 8; index += 1) held.push(await instance.say('[[HOLD slots]] held', `c${index}`));
    await eventually(() => expect(instance.control.journal().filter(({ what }) => what === 'began')).toHaveLength(8));
    const waiting = await instance.say('Hello', 'waiting');
    await instance.ageRefusals(180, 20);
    await instance.ageRefusals(400, 20);
    await expectKept(instance, before);
    instance.control.release('slots');
    for (const messageId of [...held, waiting]) expect(await instance.end(messageId)).toMatchObject({ status: 'completed' });
    await expectKept(instance, before);
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
    // Before the refusals are old: a gateway that has answered nothing since would be restarted.
    const other = await instance.say('Meanwhile', 'good');
    expect(await instance.end(other)).toMatchObject({ status: 'completed' });
    await instance.ageRefusals(180, 6);
    const turn = await instance.end(refused);
    expect(turn).toMatchObject({ status: 'failed', errorReason: 'agent_failed', errorMessage: expect.stringMatching(/./) });
    await expectKept(instance, before);
  });

  test('a start that is stuck ends its turn, also when nothing else is asked', async () => {
    const before = await instance.bootId();
    instance.control.misbehave(refuses('Session "x" changed while starting work. Retry. | SESSION_WORK_START_CHANGED'));
    const messageId = await instance.say('Hello');
    await instance.ageRefusals(180);
    expect(await instance.end(messageId)).toMatchObject({ status: 'failed', errorReason: 'agent_failed' });
    await expectKept(instance, before);
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
      await expectKept(instance, before);
    },
  );

  test('one that stays given up ends as agent_failed', async () => {
    const before = await instance.bootId();
    instance.control.misbehave(refuses('This session was quarantined after restart recovery exhaustion.'));
    expect(await instance.end(await instance.say('Hello'))).toMatchObject({ status: 'failed', errorReason: 'agent_failed' });
    await expectKept(instance, before);
  });
});
