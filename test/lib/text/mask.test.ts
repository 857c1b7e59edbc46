import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { createMask, MaskBudgetError, maskTexts } from '../../../lib/text/mask.ts';

const KEY = '-----BEGIN KEY-----\n  MIIEvQIBADANBgkq\nab==\n-----END KEY-----\n';

test.each([
  ['a value', ['s3cret'], 'is s3cret, s3crets', 'is [masked], [masked]s'],
  ['a value of less than four characters', ['abc'], 'abc', 'abc'],
  ['the longest value that begins somewhere', ['secret-1', 'secret-12', 'secret-'], 'secret-12 secret-x', '[masked] [masked]x'],
  ['values that overlap or touch', ['abcdefgh', 'ghijklmn', '12345678'], 'x abcdefghijklmn12345678 y', 'x [masked] y'],
  ['a value at both ends', ['abcd'], 'abcd-abcd', '[masked]-[masked]'],
  ['a value of many lines', [KEY], `<${KEY}>`, '<[masked]>'],
  ['the same in JSON', [KEY], JSON.stringify({ KEY }), '{"KEY":"[masked]"}'],
  ['its lines of eight characters or more', [KEY], 'MIIEvQIBADANBgkq | ab==', '[masked] | ab=='],
  ['a line with quotes in JSON', ['{\n"private_key"\n}'], JSON.stringify(' "private_key" '), '" [masked] "'],
])('%s is masked', (_what, values, text, shown) => {
  expect(createMask(values)(text)).toBe(shown);
});

test('whatever the values and the text are, no value is left in it', () => {
  const letters = fc.string({ unit: fc.constantFrom('a', 'b', '"', '\n'), minLength: 4, maxLength: 12 });
  fc.assert(
    fc.property(fc.array(letters, { maxLength: 6 }), fc.array(letters, { maxLength: 12 }), (values, pieces) => {
      const shown = createMask(values)([...pieces, ...values].join(''));
      for (const value of values) expect(shown.replaceAll('[masked]', '*')).not.toContain(value);
    }),
  );
});

describe('a mask that would take too long is refused', () => {
  const lines = (count: number) => Array.from({ length: count }, (_, index) => `line-${index}`.padEnd(8, '.')).join('\n');

  test('by the number of texts: a value of 19,998 lines is the largest', () => {
    // The value itself counts, as it is and in JSON.
    expect(createMask([lines(19_998)])('a line-7.. b')).toBe('a [masked] b');
    expect(() => createMask([lines(19_999)])).toThrow(MaskBudgetError);
  });

  test('by their size: four Mi characters are the most', () => {
    const value = (size: number) => 'x'.repeat(size);
    expect(createMask([value(4 * 1024 ** 2)])('x')).toBe('x');
    expect(() => createMask([value(4 * 1024 ** 2 + 1)])).toThrow(MaskBudgetError);
  });

  test('by the comparisons that its texts take, all of them together', () => {
    const values = Array.from({ length: 100 }, (_, index) => `${'a'.repeat(200)}${index}`);
    const mask = createMask(values);
    const line = 'a'.repeat(1_000);
    expect(mask(line)).toBe(line);
    expect(() => Array.from({ length: 1_000 }, () => mask(line))).toThrow(MaskBudgetError);
    // Also within a single text.
    expect(() => createMask(values)('a'.repeat(100_000))).toThrow(MaskBudgetError);
  });

  test('by the length of the texts', () => {
    expect(() => createMask([])('x'.repeat(3_000_000))).toThrow(MaskBudgetError);
  });
});

test('is done in parts, each of which is a small part of the work', () => {
  const values = Array.from({ length: 1_000 }, (_, index) => `${'a'.repeat(200)}${index}`);
  const texts = ['a'.repeat(10_000), 'b'.repeat(100_000), 'is aaaa'];
  const work = maskTexts(values, texts);
  let parts = 0;
  let part = work.next();
  for (; !part.done; part = work.next()) parts += 1;
  expect(part.value).toEqual(texts);
  // A comparison at each of ten thousand places takes ten of them; a hundred thousand other places are looked at.
  expect(parts).toBeGreaterThan(100);
});
