import { once } from 'node:events';
import { expect, test } from '@jest/globals';
import { allOrAbort } from '../../local/all-or-abort.ts';

test('the first failure aborts the others, which are waited for, and comes out', async () => {
  const ended: string[] = [];
  const waits = async (signal: AbortSignal) => {
    await once(signal, 'abort');
    ended.push('other');
    throw new Error('interrupted');
  };
  const fails = async () => {
    throw new Error('the reason');
  };
  await expect(allOrAbort(new AbortController().signal, [waits, fails])).rejects.toThrow('the reason');
  expect(ended).toEqual(['other']);
});

test('a stop that was asked for meanwhile is not overlooked', async () => {
  const stop = new AbortController();
  await expect(allOrAbort(stop.signal, [async () => stop.abort(new Error('stopped'))])).rejects.toThrow('stopped');
});
