import { expect, test } from '@jest/globals';
import { createStartPace, QueuedTooLongError } from '../../activities/start-pace.ts';
import { eventually } from '../support/eventually.ts';

/** A pace on a machine with three cores that is starved until told otherwise, and what runs and waits under it. */
function underLoad(longestWaitMs?: number) {
  const machine = { isStarved: true, nowMs: 0 };
  const pace = createStartPace({
    load: { isStarved: () => machine.isStarved },
    monotonicMs: () => machine.nowMs,
    cores: 3,
    ...(longestWaitMs === undefined ? {} : { longestWaitMs }),
  });
  const running: string[] = [];
  const queued: string[] = [];
  const ends = new Map<string, () => void>();
  const begin = (name: string, signal: AbortSignal = new AbortController().signal, accountId = 'account'): Promise<void> =>
    pace.run({ accountId, signal, onQueued: async () => void queued.push(name) }, async () => {
      running.push(name);
      await new Promise<void>((resolve) => void ends.set(name, resolve));
    });
  const of = (accountId: string, name: string) => begin(name, new AbortController().signal, accountId);
  return { machine, begin, of, running, queued, end: (name: string) => ends.get(name)?.() };
}

test('on a starved machine one start goes on and the others say that they wait, then one at a time', async () => {
  const { begin, running, queued, end } = underLoad();
  const starts = ['one', 'two', 'three'].map((name) => begin(name));
  await eventually(() => expect(queued).toEqual(['two', 'three']));
  expect(running).toEqual(['one']);
  for (let ended = 1; ended < 3; ended += 1) {
    end(running.at(-1)!);
    await eventually(() => expect(running).toHaveLength(ended + 1));
  }
  end(running.at(-1)!);
  await Promise.all(starts);
  expect(running.toSorted()).toEqual(['one', 'three', 'two']);
});

test('starts that wait go on as soon as the machine has CPU time, as many as it has cores', async () => {
  const { machine, begin, running, queued, end } = underLoad();
  const starts = ['one', 'two'].map((name) => begin(name));
  await eventually(() => expect(queued).toEqual(['two']));
  machine.isStarved = false;
  await eventually(() => expect(running).toEqual(['one', 'two']));
  starts.push(begin('three'));
  await eventually(() => expect(running).toEqual(['one', 'two', 'three']));
  expect(queued).toEqual(['two']);
  starts.push(begin('four'));
  await eventually(() => expect(queued).toEqual(['two', 'four']));
  expect(running).toEqual(['one', 'two', 'three']);
  end('two');
  await eventually(() => expect(running).toEqual(['one', 'two', 'three', 'four']));
  for (const name of running) end(name);
  await Promise.all(starts);
});

test('a start that takes long gives its turn to another one and goes on, half a minute after it began', async () => {
  const { machine, begin, running, queued, end } = underLoad();
  machine.isStarved = false;
  const starts = ['one', 'two', 'three', 'four', 'five'].map((name) => begin(name));
  await eventually(() => expect(queued).toEqual(['four', 'five']));
  machine.nowMs = 29_999;
  end('three');
  await eventually(() => expect(running).toEqual(['one', 'two', 'three', 'four']));
  machine.nowMs = 30_000;
  await eventually(() => expect(running).toEqual(['one', 'two', 'three', 'four', 'five']));
  for (const name of running) end(name);
  await Promise.all(starts);
});

test('the account with the fewest turns gets the next one, however many starts of another one wait for longer', async () => {
  const { machine, of, running, queued, end } = underLoad();
  machine.isStarved = false;
  const starts = ['a1', 'a2', 'a3', 'a4', 'a5'].map((name) => of('a', name));
  await eventually(() => expect(queued).toEqual(['a4', 'a5']));
  starts.push(of('b', 'b1'), of('b', 'b2'));
  await eventually(() => expect(queued).toEqual(['a4', 'a5', 'b1', 'b2']));
  for (const [ended, next] of [
    ['a1', 'b1'],
    // Two of each: the one that has waited longest.
    ['a2', 'a4'],
    ['b1', 'b2'],
    ['a3', 'a5'],
  ] as const) {
    end(ended);
    await eventually(() => expect(running.at(-1)).toBe(next));
  }
  for (const name of running) end(name);
  await Promise.all(starts);
});

test('a start that has waited as long as it may does not begin without a turn: it is to queue again', async () => {
  const { begin, running, end } = underLoad(100);
  const first = begin('one');
  await expect(begin('two')).rejects.toThrow(QueuedTooLongError);
  expect(running).toEqual(['one']);
  end('one');
  await first;
});

test('a start that is cancelled while it waits ends at once and takes nobody’s turn', async () => {
  const { begin, running, queued, end } = underLoad();
  const first = begin('one');
  const cancel = new AbortController();
  const second = begin('two', cancel.signal);
  await eventually(() => expect(queued).toEqual(['two']));
  cancel.abort();
  await expect(second).rejects.toMatchObject({ name: 'AbortError' });
  end('one');
  await first;
  const third = begin('three');
  await eventually(() => expect(running).toEqual(['one', 'three']));
  expect(queued).toEqual(['two']);
  end('three');
  await third;
});

test('a start that fails gives its turn to the next one', async () => {
  const { begin, running, end } = underLoad();
  const pace = createStartPace({ load: { isStarved: () => true }, monotonicMs: () => 0 });
  const options = { accountId: 'account', signal: new AbortController().signal, onQueued: async () => undefined };
  await expect(pace.run(options, async () => Promise.reject(new Error('no')))).rejects.toThrow('no');
  expect(await pace.run(options, async () => 'done')).toBe('done');
  const only = begin('one');
  expect(running).toEqual(['one']);
  end('one');
  await only;
});
