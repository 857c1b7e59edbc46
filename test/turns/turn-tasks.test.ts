import { expect, test } from '@jest/globals';
import { MAX_TASKS, TurnTasks } from '../../turns/turn-tasks.ts';
import { eventually } from '../support/eventually.ts';

function tasksUnderTest(atOnce = 4) {
  const failures: string[] = [];
  let overflows = 0;
  const tasks = new TurnTasks({
    atOnce,
    onFailure: (_, name) => void failures.push(name),
    onOverflow: () => {
      overflows += 1;
    },
  });
  return { tasks, failures, overflows: () => overflows };
}

test('work of one name is done in its order, and a failure ends nothing else', async () => {
  const { tasks, failures } = tasksUnderTest();
  const done: number[] = [];
  for (let number = 1; number <= 3; number += 1)
    tasks.run('a', async () => {
      if (number === 2) throw new Error('no');
      done.push(number);
    });
  await tasks.idle();
  expect([done, failures]).toEqual([[1, 3], ['a']]);
});

test('no more than so many run at once, and every one is done', async () => {
  const { tasks } = tasksUnderTest(4);
  let [running, most, done] = [0, 0, 0];
  for (let number = 0; number < 100; number += 1)
    tasks.run(`task ${number}`, async () => {
      running += 1;
      most = Math.max(most, running);
      await new Promise(setImmediate);
      running -= 1;
      done += 1;
    });
  await tasks.idle();
  expect([most, done]).toEqual([4, 100]);
});

test('what is too much is not kept, but told of, and there is room again when something is done', async () => {
  const { tasks, overflows } = tasksUnderTest();
  const gate = Promise.withResolvers<void>();
  let done = 0;
  const work = async (): Promise<void> => {
    await gate.promise;
    done += 1;
  };
  for (let number = 0; number < 10_000; number += 1) tasks.run(`task ${number}`, work);
  expect(overflows()).toBe(10_000 - MAX_TASKS);
  gate.resolve();
  await tasks.idle();
  expect(done).toBe(MAX_TASKS);
  tasks.run('later', work);
  await eventually(() => expect(done).toBe(MAX_TASKS + 1));
});

test('work that sees all that happened waits once, and once more while it runs', async () => {
  const { tasks, overflows } = tasksUnderTest();
  const gate = Promise.withResolvers<void>();
  let looks = 0;
  const look = async (): Promise<void> => {
    looks += 1;
    await gate.promise;
  };
  for (let number = 0; number < 1_000; number += 1) tasks.runOnce('conversation', look);
  await eventually(() => expect(looks).toBe(1));
  for (let number = 0; number < 1_000; number += 1) tasks.runOnce('conversation', look);
  gate.resolve();
  await tasks.idle();
  expect([looks, overflows()]).toEqual([2, 0]);
});
