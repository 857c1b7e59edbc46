import { eventually } from '../support/eventually.ts';
import type { Bench } from './bench.ts';

const GOAL_MS = 15_000;
const PROVISION_MS = 3_000;

/** From the return of a worker that was killed in the middle of a provision until the provision goes on. */
export const benchWorkerKill: Bench = async ({ stack, rounds }) => {
  const account = await stack.newAccount();
  const values: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const { instanceId } = await account.ok('POST', '/instances', { name: 'bench' });
    const attemptOf = async (): Promise<number> =>
      (await account.ok('GET', `/instances/${instanceId}`)).transition?.attempt ?? Number.POSITIVE_INFINITY;
    await eventually(async () => {
      if ((await attemptOf()) < 1) throw new Error('the provision has not begun');
    }, 30_000);
    await new Promise((resolve) => setTimeout(resolve, Math.random() * PROVISION_MS));
    const before = await attemptOf();
    await stack.kill('worker');
    const startedAt = performance.now();
    await stack.start('worker');
    await eventually(async () => {
      if ((await attemptOf()) <= before) throw new Error('the provision has not gone on');
    }, 60_000);
    values.push(performance.now() - startedAt);
    await account.ok('DELETE', `/instances/${instanceId}`);
  }
  return [
    {
      what: 'worker killed during a provision: goes on',
      values,
      unit: 'ms',
      goal: `<= ${GOAL_MS} after its return`,
      reached: values.every((value) => value <= GOAL_MS),
    },
  ];
};
