import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { jsonLimitParts, jsonLimitProblem } from '../../../lib/text/json-limits.ts';

const problemOf = (text: string, limits: { depth?: number; values?: number }) =>
  jsonLimitProblem(Buffer.from(text), { depth: 1_000, values: 1_000, ...limits });

test.each(['[[[1]]]', '{"a":{"a":{"a":1}}}', '[{"a":[]}]'])('%s is three levels deep', (text) => {
  expect(problemOf(text, { depth: 3 })).toBeNull();
  expect(problemOf(text, { depth: 2 })).toBe('Must not be nested more than 2 levels deep.');
});

test('objects beside each other are as deep as one', () => {
  expect(problemOf(`[${'[{}],'.repeat(100)}1]`, { depth: 3 })).toBeNull();
});

test.each([
  ['no entries of one list', '[]', 1],
  ['entries of a list', '[1,2,3]', 3],
  ['fields of an object', '{"a":1,"b":2}', 2],
  ['those of all of them', '{"a":[1,2],"b":{"c":1}}', 5],
  ['what looks like it in a text as nothing', '["[{,,}]","\\",,","\\\\",1]', 4],
])('values are counted: %s', (_what, text, count) => {
  expect(problemOf(text, { values: count })).toBeNull();
  expect(problemOf(text, { values: count - 1 })).toBe(`Must not have more than ${count - 1} values in all.`);
});

function measure(value: unknown): { depth: number; values: number } {
  if (typeof value !== 'object' || value === null) return { depth: 0, values: 0 };
  const entries = Object.values(value).map(measure);
  return {
    depth: 1 + Math.max(0, ...entries.map(({ depth }) => depth)),
    values: Math.max(1, entries.length) + entries.reduce((sum, { values }) => sum + values, 0),
  };
}

/** Long texts in which there may be quotes, backslashes and what looks like structure. */
const longText = fc
  .array(fc.tuple(fc.constantFrom('"', '\\', ',', '[{', 'x'), fc.nat({ max: 200 })), { maxLength: 8 })
  .map((parts) => parts.map(([part, length]) => part + 'y'.repeat(length)).join(''));

test('any JSON is measured as its value is, however it is written', () => {
  fc.assert(
    fc.property(
      fc.array(fc.oneof(fc.jsonValue(), longText, fc.array(longText))),
      fc.constantFrom(undefined, 2, '\t'),
      (value, space) => {
        const text = JSON.stringify(value, null, space);
        const { depth, values } = measure(value);
        expect(problemOf(text, { depth, values })).toBeNull();
        expect(problemOf(text, { depth: depth - 1 })).not.toBeNull();
        expect(problemOf(text, { values: values - 1 })).not.toBeNull();
      },
    ),
  );
});

test('what is not JSON is told nothing about, and not read further than it goes', () => {
  for (const text of ['', '"', '"\\', ']]', '{"a', '\\"']) expect(problemOf(text, { depth: 1, values: 1 })).toBeNull();
});

describe('a large text', () => {
  const partsOf = (text: string, values: number) => {
    const parts = jsonLimitParts(Buffer.from(text), { depth: 2, values });
    for (let count = 0; ; count += 1) {
      const { done, value } = parts.next();
      if (done) return { yields: count, problem: value };
    }
  };

  test.each([
    ['of escapes', (length: number) => '\\n'.repeat(length / 2)],
    ['of quotes', (length: number) => '\\"'.repeat(length / 2)],
    ['of letters', (length: number) => 'x'.repeat(length)],
  ])('is read in parts of 64 KiB, wherever they end in it: one %s', (_what, textOf) => {
    // Each length puts the ends of the parts at other places of the text.
    for (const before of [0, 1, 2, 3]) {
      const text = `[${' '.repeat(before)}"${textOf(1_048_576)}",2]`;
      expect(partsOf(text, 2)).toEqual({ yields: 16, problem: null });
      expect(partsOf(text, 1)).toEqual({ yields: 16, problem: 'Must not have more than 1 values in all.' });
    }
  });

  test('is not read further than to what is too much', () => {
    expect(partsOf(`[[[${' '.repeat(1_048_576)}]]]`, 9)).toEqual({
      yields: 0,
      problem: 'Must not be nested more than 2 levels deep.',
    });
  });
});
