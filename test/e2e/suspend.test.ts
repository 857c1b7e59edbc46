import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { MikroORM } from '@mikro-orm/postgresql';
import { createOrm } from '../../database/orm.ts';
import { layoutOf } from '../../runtime/host/runtime-layout.ts';
import { processesOf } from '../../runtime/process/runtime-processes.ts';
import type { ApiClient } from '../support/api-client.ts';
import { eventually } from '../support/eventually.ts';
import { newAgent, say } from '../support/patient-client.ts';
import { sharesOf } from '../support/resident-memory.ts';
import { startStack } from '../support/stack-under-test.ts';
import type { StackUnderTest } from '../support/stack-under-test.ts';
import { requireSwap } from '../support/swap-under-test.ts';

/** What a suspended gateway may still hold of the memory, the wrapper that waits for its end with it. */
const LEFT_MIB = 40;

let stack: StackUnderTest;
let orm: MikroORM;
let account: ApiClient;
let instanceId: string;
let runtimeId: string;
let path: string;

beforeAll(async () => {
  await requireSwap();
  stack = await startStack({ env: { SUSPEND: 'auto' } });
  orm = await createOrm(stack.databaseUrl);
  account = await stack.newAccount();
  ({ instanceId } = await account.ok('POST', '/instances', { name: 'sleeper', sleepAfterMs: 60_000 }));
  ({ path } = await newAgent(account, instanceId));
  const [runtime] = await stack.driver.list();
  runtimeId = runtime?.runtimeId ?? '';
});
afterAll(async () => {
  await orm?.close();
  await stack?.close();
});

const get = () => account.ok('GET', `/instances/${instanceId}`);
const status = async () => (await stack.driver.inspect(runtimeId)).status;
const suspendedRuntimes = async () => (await stack.operator.ok('GET', '/admin/runtimes?state=suspended')).runtimes;
/** A minute is too long for a test. */
const sleepAfter = (ms: number) =>
  orm.em.fork().execute('update instances set sleep_after_ms = ? where id = ?', [ms, instanceId], 'run');

async function asleep(): Promise<void> {
  await sleepAfter(500);
  await eventually(async () => expect(await suspendedRuntimes()).toMatchObject([{ runtimeId, instanceId }]));
  await sleepAfter(60_000);
}

test('a real gateway is suspended, gives its memory back, costs nothing, and remembers its conversation when it is woken', async () => {
  expect(await say(account, path, { message: 'The word is plum.' })).toMatchObject({ status: 'completed' });
  await asleep();
  expect(await status()).toBe('suspended');
  const before = await get();
  expect(before).toMatchObject({ status: 'stopped', desiredStatus: 'running', transition: null, sleep: { state: 'asleep' } });
  const { residentMiB } = await sharesOf(await processesOf(layoutOf(stack.dataDir, runtimeId)));
  expect(residentMiB).toBeLessThan(LEFT_MIB);
  expect((await get()).totalRuntimeMs).toBe(before.totalRuntimeMs);

  const reply = await account.ok('POST', path, { message: 'What was the word?', timeoutMs: 240_000 });
  expect(reply).toMatchObject({ status: 'completed', content: 'You said: What was the word?' });
  const call = await stack.model.waitForCall(({ lastUserText }) => lastUserText.includes('What was the word?'));
  expect(JSON.stringify(call.messages)).toContain('The word is plum.');
  expect(stack.model.answered('What was the word?')).toBe(1);
  expect(await get()).toMatchObject({ status: 'running', sleep: { state: 'awake' } });
});

test('a worker that is killed while a real gateway is suspended changes nothing for the next message', async () => {
  await asleep();
  await stack.kill('worker');
  expect(await status()).toBe('suspended');
  await stack.start('worker');
  expect(await account.ok('POST', path, { message: 'Again?', timeoutMs: 240_000 })).toMatchObject({ status: 'completed' });
  expect(stack.model.answered('Again?')).toBe(1);
});
