import { getEventListeners } from 'node:events';
import { describe, expect, test } from '@jest/globals';
import { AutoResetEvent } from '../../../lib/async/auto-reset-event.ts';
import { TEST_LIMIT_MS } from '../../support/eventually.ts';

const NEVER = new AbortController().signal;

/** Whether the wait has ended without anything else happening. */
async function hasEnded(wait: Promise<void>): Promise<boolean> {
  const pending = Symbol('pending');
  return (await Promise.race([wait, new Promise((resolve) => setImmediate(resolve, pending))])) !== pending;
}

describe('an auto-reset event', () => {
  test('ends the wait of one who waits', async () => {
    const event = new AutoResetEvent();
    const wait = event.wait(TEST_LIMIT_MS, NEVER);
    expect(await hasEnded(wait)).toBe(false);
    event.set();
    await wait;
  });

  test('ends the next wait at once when nothing waited, and only that one', async () => {
    const event = new AutoResetEvent();
    event.set();
    event.set();
    expect(await hasEnded(event.wait(TEST_LIMIT_MS, NEVER))).toBe(true);
    const next = event.wait(TEST_LIMIT_MS, NEVER);
    expect(await hasEnded(next)).toBe(false);
    event.set();
    await next;
  });

  test('forgets at a reset that it was set', async () => {
    const event = new AutoResetEvent();
    event.set();
    event.reset();
    const wait = event.wait(TEST_LIMIT_MS, NEVER);
    expect(await hasEnded(wait)).toBe(false);
    event.set();
    await wait;
  });

  test('ends a wait after its time, and when its signal aborts, before or during the wait', async () => {
    const event = new AutoResetEvent();
    await event.wait(1, NEVER);
    await event.wait(TEST_LIMIT_MS, AbortSignal.abort());
    const controller = new AbortController();
    const wait = event.wait(TEST_LIMIT_MS, controller.signal);
    controller.abort();
    await wait;
  });

  test('leaves no listener on the signal', async () => {
    const { signal } = new AbortController();
    const event = new AutoResetEvent();
    await event.wait(1, signal);
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });
});
