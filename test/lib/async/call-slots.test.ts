import { expect, test } from '@jest/globals';
import { createCallSlots, NoSlotError } from '../../../lib/async/call-slots.ts';

const LONG_MS = 600_000;

/** Work that ends when the test says so, and what has begun so far. */
function gates() {
  const begun: string[] = [];
  const ends = new Map<string, () => void>();
  const work = (name: string) => () => {
    begun.push(name);
    return new Promise<string>((resolve) => ends.set(name, () => resolve(name)));
  };
  return { begun, work, end: (name: string) => ends.get(name)?.() };
}

test('so many calls of an owner run at once, the others in their order, and another owner does not wait for them', async () => {
  const slots = createCallSlots({ atOnce: 2, waiting: 2, patienceMs: LONG_MS });
  const { begun, work, end } = gates();
  const calls = ['1', '2', '3', '4'].map((name) => slots.run('a', work(name)));
  const other = slots.run('b', work('other'));
  await Promise.resolve();
  expect(begun).toEqual(['1', '2', 'other']);
  end('2');
  await calls[1];
  expect(begun.at(-1)).toBe('3');
  for (const name of ['1', '3', 'other']) end(name);
  await Promise.all([calls[0], calls[2], other]);
  expect(begun.at(-1)).toBe('4');
  end('4');
  await calls[3];
});

test('one more than may wait is refused, and so is one that has waited for too long; neither has begun', async () => {
  const slots = createCallSlots({ atOnce: 1, waiting: 1, patienceMs: 50 });
  const { begun, work, end } = gates();
  const running = slots.run('a', work('running'));
  const waiting = slots.run('a', work('waiting'));
  await expect(slots.run('a', work('too many'))).rejects.toThrow(NoSlotError);
  await expect(waiting).rejects.toThrow(NoSlotError);
  end('running');
  await running;
  const next = slots.run('a', work('next'));
  await Promise.resolve();
  end('next');
  await next;
  expect(begun).toEqual(['running', 'next']);
});

test('work that fails gives its slot back', async () => {
  const slots = createCallSlots({ atOnce: 1, waiting: 0, patienceMs: LONG_MS });
  for (let time = 0; time < 3; time += 1)
    await expect(slots.run('a', () => Promise.reject(new Error('failed')))).rejects.toThrow('failed');
});
