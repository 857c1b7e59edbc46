import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { MikroORM } from '@mikro-orm/postgresql';
import { createOrm } from '../../database/orm.ts';
import type { ApiClient } from '../support/api-client.ts';
import { eventually } from '../support/eventually.ts';
import { newAgent, say } from '../support/patient-client.ts';
import { startStack } from '../support/stack-under-test.ts';
import type { StackUnderTest } from '../support/stack-under-test.ts';

let stack: StackUnderTest;
let orm: MikroORM;
let account: ApiClient;
let instanceId: string;
let path: string;

beforeAll(async () => {
  stack = await startStack();
  orm = await createOrm(stack.databaseUrl);
  account = await stack.newAccount();
  ({ instanceId } = await account.ok('POST', '/instances', { name: 'sleeper', sleepAfterMs: 60_000 }));
  ({ path } = await newAgent(account, instanceId));
});
afterAll(async () => {
  await orm?.close();
  await stack?.close();
});

const get = () => account.ok('GET', `/instances/${instanceId}`);
const statuses = async () => (await stack.driver.list()).map(({ status }) => status);

test('a real gateway falls asleep, costs nothing meanwhile, and remembers its conversation when a message wakes it', async () => {
  expect(await say(account, path, { message: 'The word is plum.' })).toMatchObject({ status: 'completed' });
  // A minute is too long for a test.
  await orm.em.fork().execute('update instances set sleep_after_ms = 500 where id = ?', [instanceId], 'run');
  await eventually(async () => expect(await get()).toMatchObject({ status: 'stopped', sleep: { state: 'asleep' } }));
  await eventually(async () => expect(await statuses()).toEqual(['exited']));
  const { totalRuntimeMs } = await get();

  const before = await get();
  expect(before).toMatchObject({ desiredStatus: 'running', transition: null, totalRuntimeMs });
  await orm.em.fork().execute('update instances set sleep_after_ms = 60000 where id = ?', [instanceId], 'run');
  const reply = await account.ok('POST', path, { message: 'What was the word?', timeoutMs: 240_000 });
  expect(reply).toMatchObject({ status: 'completed', content: 'You said: What was the word?' });
  const call = await stack.model.waitForCall(({ lastUserText }) => lastUserText.includes('What was the word?'));
  expect(JSON.stringify(call.messages)).toContain('The word is plum.');
  expect(stack.model.answered('What was the word?')).toBe(1);
  expect(await get()).toMatchObject({ status: 'running', sleep: { state: 'awake' } });
});
