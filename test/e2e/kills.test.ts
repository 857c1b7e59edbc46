import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { readRecord } from '../../runtime/process/gateway-record.ts';
import { layoutOf } from '../../runtime/host/runtime-layout.ts';
import type { ApiClient } from '../support/api-client.ts';
import { eventually } from '../support/eventually.ts';
import { newAgent, openStream, say, untilStatus } from '../support/patient-client.ts';
import { startStack } from '../support/stack-under-test.ts';
import type { StackUnderTest } from '../support/stack-under-test.ts';
import { readStream } from '../support/stream-reader.ts';

let stack: StackUnderTest;
let account: ApiClient & { accountId: string };
let instanceId: string;
let path: string;

beforeAll(async () => {
  stack = await startStack();
  account = await stack.newAccount();
  ({ instanceId } = await account.ok('POST', '/instances', { name: 'kills' }));
});
afterAll(() => stack?.close());

test('a worker that is killed between the spawn and its record of it leaves one gateway, which its successor takes up', async () => {
  await eventually(async () => expect((await stack.driver.list()).map(({ status }) => status)).toEqual(['running']));
  await stack.kill('worker');
  const gateway = await gatewayPid();
  await stack.start('worker');
  await untilStatus(account, instanceId, 'running');
  expect(await gatewayPid()).toBe(gateway);
  expect(await stack.driver.list()).toHaveLength(1);
});

describe('during a turn of a running instance', () => {
  beforeAll(async () => {
    ({ path } = await newAgent(account, instanceId));
  });
  // What a test before it left behind is not its subject.
  beforeEach(async () => {
    for (const name of ['relay', 'api', 'worker'] as const) if (!stack.runs(name)) await stack.start(name);
    await untilStatus(account, instanceId, 'running');
  });

  test('an API that is killed while it streams loses no reply: the turn ends once, in the history and as one event', async () => {
    const response = await openStream(account, path, { message: 'api killed [[WORDS 6]] [[HOLD api-killed 3]]' });
    await readStream(response, (text) => {
      if (text.includes('w2')) void stack.kill('api');
    }).catch(() => null);
    await stack.kill('api');
    await stack.start('api');
    stack.model.release('api-killed');
    await replyIs('api killed', 'w1 w2 w3 w4 w5 w6');
    expect(stack.model.answered('api killed')).toBe(1);
  });

  test('a worker that is killed changes nothing about it', async () => {
    const answer = say(account, path, { message: 'worker killed [[WORDS 3]] [[HOLD worker-killed]]' });
    await stack.model.waitForCall(({ lastUserText }) => lastUserText.includes('worker killed'));
    await stack.kill('worker');
    stack.model.release('worker-killed');
    expect(await answer).toMatchObject({ content: 'w1 w2 w3' });
    expect(stack.model.answered('worker killed')).toBe(1);
  });

  test('a relay that is killed during a model call costs at most a retry of that call', async () => {
    const answer = say(account, path, { message: 'relay killed [[WORDS 3]] [[HOLD relay-killed]]' });
    await stack.model.waitForCall(({ lastUserText }) => lastUserText.includes('relay killed'));
    await stack.kill('relay');
    await stack.start('relay');
    stack.model.release('relay-killed');
    expect(await answer).toMatchObject({ content: 'w1 w2 w3' });
  });

  test.each([
    ['before the model is called', 'early', 0],
    ['while the model answers', 'middle', 3],
  ])('a gateway that is killed %s is started again and answers the same turn, once', async (_when, name, words) => {
    const before = await account.ok('GET', `/instances/${instanceId}`);
    const answer = say(account, path, { message: `gateway killed ${name} [[WORDS 6]] [[HOLD ${name} ${words}]]` });
    await stack.model.waitForCall(({ lastUserText }) => lastUserText.includes(`gateway killed ${name}`));
    const killed = await gatewayPid();
    process.kill(killed, 'SIGKILL');
    await eventually(async () => {
      expect(await account.ok('GET', `/instances/${instanceId}`)).toMatchObject({
        status: 'provisioning',
        transition: { kind: 'recovering' },
      });
    });
    stack.model.release(name);
    const { content } = await answer;
    const anyText: unknown = expect.stringMatching(/./);
    expect(content).toEqual(wasRepeated(`gateway killed ${name}`) ? anyText : 'w1 w2 w3 w4 w5 w6');
    await untilStatus(account, instanceId, 'running');
    expect(await gatewayPid()).not.toBe(killed);
    // What the gateway repeats by itself has another text.
    expect(stack.model.answered(`gateway killed ${name}`)).toBeLessThanOrEqual(1);
    const after = await account.ok('GET', `/instances/${instanceId}`);
    expect(after.totalRuntimeMs).toBeGreaterThanOrEqual(before.totalRuntimeMs);
  });
});

async function gatewayPid(): Promise<number> {
  const [runtime] = await stack.driver.list();
  const record = runtime && (await readRecord(layoutOf(stack.dataDir, runtime.runtimeId)));
  if (!record) throw new Error('no gateway was started');
  return record.pid;
}

/** Whether the gateway was faster, on a slow machine, than the step that takes up the turn with this text. */
function wasRepeated(text: string): boolean {
  return stack.model.calls.some(({ messages }) => {
    const all = JSON.stringify(messages);
    return all.includes(text) && all.includes('[System] Your previous turn was interrupted');
  });
}

/** The reply to the message that contains this text. */
async function replyIs(text: string, content: string): Promise<void> {
  await eventually(async () => {
    const { messages } = await account.ok('GET', `${path}?limit=200`);
    const asked = messages.findIndex((message: { content: string }) => message.content.includes(text));
    expect(messages[asked + 1]).toMatchObject({ status: 'completed', content });
  });
}
