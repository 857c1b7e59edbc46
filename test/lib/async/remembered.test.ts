import { expect, test } from '@jest/globals';
import { remembered } from '../../../lib/async/remembered.ts';
import { eventually } from '../../support/eventually.ts';

test('all who ask at the same time share one answer, also when it is late, and the next ones get it too', async () => {
  let [asked, answer] = [0, (_value: number): void => undefined];
  const look = remembered(600_000, () => {
    asked += 1;
    return new Promise<number>((resolve) => (answer = resolve));
  });
  const looks = [look(), look(), look()];
  answer(1);
  expect(await Promise.all([...looks, look()])).toEqual([1, 1, 1, 1]);
  expect(asked).toBe(1);
});

test('after its time an answer is asked for again, and a failure too', async () => {
  let asked = 0;
  const look = remembered(1, async () => {
    asked += 1;
    if (asked === 1) throw new Error('failed');
    return asked;
  });
  await expect(look()).rejects.toThrow('failed');
  await eventually(async () => expect(await look()).toBeGreaterThan(2));
});
