import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { readRecord } from '../../runtime/process/gateway-record.ts';
import { layoutOf } from '../../runtime/host/runtime-layout.ts';
import type { ApiClient } from '../support/api-client.ts';
import { campaignRounds, createDice } from '../support/campaign.ts';
import { eventually } from '../support/eventually.ts';
import { startStack } from '../support/stack-under-test.ts';
import type { StackUnderTest } from '../support/stack-under-test.ts';
import { readStream } from '../support/stream-reader.ts';

const LONG_MS = 180_000;

let stack: StackUnderTest;
let account: ApiClient & { accountId: string };
let instanceId: string;
let agentId: string;
let path: string;

beforeAll(async () => {
  stack = await startStack();
  account = await stack.newAccount();
  ({ instanceId } = await account.ok('POST', '/instances', { name: 'kills' }));
  ({ agentId } = await account.ok('POST', `/instances/${instanceId}/agents`, { name: 'a', slug: 'agent', displayName: 'Agent' }));
  path = `/instances/${instanceId}/agents/${agentId}/messages`;
}, LONG_MS);
afterAll(() => stack?.close(), LONG_MS);

test(
  'a worker that is killed between the spawn and its record of it leaves one gateway, which its successor takes up',
  async () => {
    await eventually(async () => expect((await stack.driver.list()).map(({ status }) => status)).toEqual(['running']));
    await stack.kill('worker');
    const gateway = await gatewayPid();
    await stack.start('worker');
    await isRunning();
    expect(await gatewayPid()).toBe(gateway);
    expect(await stack.driver.list()).toHaveLength(1);
  },
  LONG_MS,
);

test(
  'an API that is killed while it streams loses no reply: the turn ends once, in the history and as one event',
  async () => {
    const response = await account.raw('POST', path, { message: `api killed [[WORDS 6]] [[HOLD api-killed 3]]`, stream: true });
    const cut = readStream(response, (text) => {
      if (text.includes('w2')) void stack.kill('api');
    }).catch(() => null);
    await cut;
    await stack.start('api');
    stack.model.release('api-killed');
    await replyIs('api killed', 'w1 w2 w3 w4 w5 w6');
    expect(callsWith('api killed')).toBe(1);
  },
  LONG_MS,
);

test(
  'a worker that is killed during a turn changes nothing about it',
  async () => {
    const answer = account.ok('POST', path, { message: 'worker killed [[WORDS 3]] [[HOLD worker-killed]]' });
    await stack.model.waitForCall(({ lastUserText }) => lastUserText.includes('worker killed'), 30_000);
    await stack.kill('worker');
    stack.model.release('worker-killed');
    expect(await answer).toMatchObject({ content: 'w1 w2 w3' });
    await stack.start('worker');
    expect(callsWith('worker killed')).toBe(1);
  },
  LONG_MS,
);

test(
  'a relay that is killed during a model call costs at most a retry of that call',
  async () => {
    const answer = account.call('POST', path, { message: 'relay killed [[WORDS 3]] [[HOLD relay-killed]]' });
    await stack.model.waitForCall(({ lastUserText }) => lastUserText.includes('relay killed'), 30_000);
    await stack.kill('relay');
    await stack.start('relay');
    stack.model.release('relay-killed');
    expect(await answer).toMatchObject({ status: 200, body: { content: 'w1 w2 w3' } });
  },
  LONG_MS,
);

test.each([
  ['before the model is called', 'early', 0],
  ['while the model answers', 'middle', 3],
])(
  'a gateway that is killed %s is started again and answers the same turn, once',
  async (_when, name, words) => {
    const before = await account.ok('GET', `/instances/${instanceId}`);
    const answer = account.ok('POST', path, { message: `gateway killed ${name} [[WORDS 6]] [[HOLD ${name} ${words}]]` });
    await stack.model.waitForCall(({ lastUserText }) => lastUserText.includes(`gateway killed ${name}`), 30_000);
    const killed = await gatewayPid();
    process.kill(killed, 'SIGKILL');
    await eventually(async () => {
      expect(await account.ok('GET', `/instances/${instanceId}`)).toMatchObject({
        status: 'provisioning',
        transition: { kind: 'recovering' },
      });
    });
    stack.model.release(name);
    expect(await answer).toMatchObject({ content: 'w1 w2 w3 w4 w5 w6' });
    await isRunning();
    expect(await gatewayPid()).not.toBe(killed);
    expect(callsWith(`gateway killed ${name}`)).toBeLessThanOrEqual(2);
    const after = await account.ok('GET', `/instances/${instanceId}`);
    expect(after.totalRuntimeMs).toBeGreaterThanOrEqual(before.totalRuntimeMs);
  },
  LONG_MS,
);

test(
  'a worker that is killed at random moments of stop and start ends where it was to go',
  async () => {
    const dice = createDice('worker kills');
    for (let round = 1; round <= campaignRounds(); round += 1) {
      await killWorkerDuring('stop', dice.below(2_000));
      await killWorkerDuring('start', dice.below(10_000));
    }
  },
  LONG_MS * campaignRounds(),
);

async function killWorkerDuring(action: 'start' | 'stop', afterMs: number): Promise<void> {
  await account.ok('POST', `/instances/${instanceId}/${action}`);
  await new Promise((resolve) => setTimeout(resolve, afterMs));
  await stack.kill('worker');
  await stack.start('worker');
  await settlesAs(action === 'start' ? 'running' : 'stopped');
  const running = (await stack.driver.list()).filter((runtime) => runtime.status === 'running');
  expect(running).toHaveLength(action === 'start' ? 1 : 0);
}

const isRunning = (): Promise<void> => settlesAs('running');

async function settlesAs(status: string): Promise<void> {
  await eventually(
    async () => expect(await account.ok('GET', `/instances/${instanceId}`)).toMatchObject({ status, transition: null }),
    120_000,
  );
}

async function gatewayPid(): Promise<number> {
  const [runtime] = await stack.driver.list();
  const record = runtime && (await readRecord(layoutOf(stack.dataDir, runtime.runtimeId)));
  if (!record) throw new Error('no gateway was started');
  return record.pid;
}

function callsWith(text: string): number {
  return stack.model.calls.filter(({ lastUserText }) => lastUserText.includes(text)).length;
}

/** The reply to the message that contains this text. */
async function replyIs(text: string, content: string): Promise<void> {
  await eventually(async () => {
    const { messages } = await account.ok('GET', `${path}?limit=200`);
    const asked = messages.findIndex((message: { content: string }) => message.content.includes(text));
    expect(messages[asked + 1]).toMatchObject({ status: 'completed', content });
  });
}
