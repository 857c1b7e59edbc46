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

const next = () => new Promise<void>((resolve) => setImmediate(resolve));

test('so many calls of an owner run at once, the others in their order, and another owner does not wait for them', async () => {
  const slots = createCallSlots({ atOnce: 2, waiting: 2, patienceMs: LONG_MS });
  const { begun, work, end } = gates();
  const calls = ['1', '2', '3', '4'].map((name) => slots.run('a', work(name)));
  const other = slots.run('b', work('other'));
  await next();
  expect(begun).toEqual(['1', '2', 'other']);
  end('2');
  await calls[1];
  await next();
  expect(begun.at(-1)).toBe('3');
  for (const name of ['1', '3', 'other']) end(name);
  await Promise.all([calls[0], calls[2], other]);
  await next();
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
  const then = slots.run('a', work('next'));
  await next();
  end('next');
  await then;
  expect(begun).toEqual(['running', 'next']);
});

test('work that fails gives its slot back', async () => {
  const slots = createCallSlots({ atOnce: 1, waiting: 0, patienceMs: LONG_MS });
  for (let time = 0; time < 3; time += 1)
    await expect(slots.run('a', () => Promise.reject(new Error('failed')))).rejects.toThrow('failed');
});

test('while another owner works, and for a second after, so few calls of an owner begin that its calls are soon reached', async () => {
  let nowMs = 0;
  const limits = { atOnce: 4, shared: 1, waiting: 10, patienceMs: LONG_MS };
  const slots = createCallSlots(limits, () => nowMs);
  const { begun, work, end } = gates();
  const calls = ['1', '2', '3', '4', '5', '6', '7'].map((name) => slots.run('a', work(name)));
  await next();
  expect(begun).toEqual(['1', '2', '3', '4']);
  const other = slots.run('b', work('other'));
  await next();
  expect(begun).toEqual(['1', '2', '3', '4', 'other']);
  // Those that run already may end; only then the next one begins.
  for (const name of ['1', '2', '3']) end(name);
  await next();
  expect(begun).toHaveLength(5);
  end('4');
  await next();
  expect(begun).toEqual(['1', '2', '3', '4', 'other', '5']);
  end('other');
  await other;
  end('5');
  await next();
  expect(begun.slice(6)).toEqual(['6']);
  nowMs += 1_001;
  const eighth = slots.run('a', work('8'));
  end('6');
  await next();
  expect(begun.slice(6)).toEqual(['6', '7', '8']);
  for (const name of ['7', '8']) end(name);
  await Promise.all([...calls, eighth]);
});

test('a call that pauses gives its slot away, and goes on before those that have not begun, however many wait', async () => {
  const slots = createCallSlots({ atOnce: 1, waiting: 3, patienceMs: LONG_MS });
  const { begun, work, end } = gates();
  const paused = slots.enter('a').then(async (slot) => {
    await slot.pause(work('pause'));
    await work('goes on')();
    slot.leave();
    slot.leave();
  });
  const calls = ['1', '2', '3'].map((name) => slots.run('a', work(name)));
  await next();
  expect(begun).toEqual(['pause', '1']);
  end('pause');
  await next();
  end('1');
  await next();
  expect(begun).toEqual(['pause', '1', 'goes on']);
  end('goes on');
  await paused;
  for (const name of ['2', '3']) {
    await next();
    end(name);
  }
  await Promise.all(calls);
  expect(begun).toEqual(['pause', '1', 'goes on', '2', '3']);
});
