import { expect, test } from '@jest/globals';
import { invalidRequest } from '../../../api/contract/invalid-request.ts';

test('however many and long the problems are, a hundred are named, with the beginning of what is long', () => {
  const problem = { path: `files.${'😀'.repeat(5_000)}`, message: 'x'.repeat(5_000) };
  const { details = [], message } = invalidRequest(Array.from({ length: 5_000 }, () => problem));
  expect(details).toHaveLength(100);
  for (const { path, message: told } of details) {
    expect([path.length, told.length]).toEqual([1_000, 1_000]);
    expect(path.isWellFormed()).toBe(true);
  }
  expect(message).toMatch(/^files\..* \(and 4999 more; see details\)$/);
});

test('a single problem is told as it is', () => {
  const problem = { path: 'name', message: 'Required: give a string.' };
  expect(invalidRequest([problem])).toMatchObject({ message: 'name: Required: give a string.', details: [problem] });
});
