import { setImmediate as tick } from 'node:timers/promises';
import { expect, test } from '@jest/globals';
import { createOpenCalls } from '../../relay/open-calls.ts';

const slots = (atOnce: number, waiting = 8, patienceMs = 60_000) => ({ atOnce, waiting, patienceMs });

/** Begins a call that runs until it is ended. */
function begin(calls: ReturnType<typeof createOpenCalls>, agentId: string, accountId: string) {
  const ended = Promise.withResolvers<string>();
  const call = { isRunning: false, end: () => ended.resolve('done'), result: Promise.resolve('') };
  call.result = calls.run({ agentId, accountId }, async () => {
    call.isRunning = true;
    return ended.promise;
  });
  return call;
}

test('a call beyond what its agent may have open begins when another one ends', async () => {
  const calls = createOpenCalls({ agent: slots(2), account: slots(9) });
  const [first, second, third] = ['first', 'second', 'third'].map(() => begin(calls, 'agent', 'account'));
  await tick();
  expect([first, second, third].map((call) => call?.isRunning)).toEqual([true, true, false]);
  first?.end();
  await tick();
  expect(third?.isRunning).toBe(true);
  for (const call of [second, third]) call?.end();
  expect(await third?.result).toBe('done');
});

test('an account shares its calls among its agents, and takes none from another account', async () => {
  const calls = createOpenCalls({ agent: slots(9), account: slots(1) });
  const [mine, waits, other] = [begin(calls, 'a', 'one'), begin(calls, 'b', 'one'), begin(calls, 'c', 'two')];
  await tick();
  expect([mine, waits, other].map(({ isRunning }) => isRunning)).toEqual([true, false, true]);
  for (const call of [mine, waits, other]) call.end();
  expect(await waits.result).toBe('done');
});

test.each([
  ['as many as may wait do', slots(1, 0)],
  ['none ends in time', slots(1, 8, 1)],
])('a call is refused with 429 and when to try again, where %s', async (_, agent) => {
  const calls = createOpenCalls({ agent, account: slots(9) });
  const first = begin(calls, 'agent', 'account');
  await expect(begin(calls, 'agent', 'account').result).rejects.toMatchObject({ status: 429, retryAfterSeconds: 5 });
  first.end();
  await first.result;
});
