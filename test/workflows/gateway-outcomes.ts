import { expect } from '@jest/globals';
import { eventually } from '../support/eventually.ts';
import type { Deed } from '../support/scripted-gateway/faults.ts';
import type { InstanceUnderTest } from './product-under-test.ts';

/** Turns are refused with this text. */
export const refuses = (message: string, answer: 'first' | 'second' = 'second'): Deed => ({
  kind: 'refuse',
  answer,
  code: 'UNAVAILABLE',
  message,
});

/** A text after which only another gateway process takes turns. */
export const WEDGED = 'Agent database cleanup failed';

/** How often its gateway was found broken, as far as that is remembered. */
export async function breakdownsOf(instance: InstanceUnderTest): Promise<number> {
  const [row] = await instance.sql<{ count: number }>(
    'select coalesce(array_length(breakdowns, 1), 0) as count from instances where id = ?',
  );
  return row?.count ?? 0;
}

/** Another process has taken the place of the one before, once, and answered the message, once. */
export async function expectReplaced(instance: InstanceUnderTest, before: string | null, messageId: string): Promise<void> {
  expect(await instance.end(messageId)).toMatchObject({ status: 'completed', content: 'You said: Hello' });
  await eventually(async () => expect(await instance.view()).toMatchObject({ status: 'running', reasonCode: null }));
  expect(await instance.bootId()).not.toBe(before);
  expect([instance.starts(), instance.answersTo(messageId), await breakdownsOf(instance)]).toEqual([2, 1, 1]);
}

/** The gateway process was left as it was. */
export async function expectKept(instance: InstanceUnderTest, before: string | null): Promise<void> {
  expect((await instance.view()).status).toBe('running');
  expect([await instance.bootId(), instance.starts(), await breakdownsOf(instance)]).toEqual([before, 1, 0]);
}
