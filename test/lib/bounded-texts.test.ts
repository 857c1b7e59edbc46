import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { cutText } from '../../lib/text/cut-text.ts';
import { RecentTexts } from '../../lib/text/recent-texts.ts';

const text = fc.string({ unit: fc.constantFrom('a', 'ü', '字', '😀') });

test('a text that fits stays whole; of another its longest beginning of whole characters that fits is kept', () => {
  expect(cutText('😀😀', 8)).toEqual({ text: '😀😀', isCut: false });
  expect(cutText('😀😀', 7)).toEqual({ text: '😀', isCut: true });
  expect(cutText('字', 2)).toEqual({ text: '', isCut: true });
  fc.assert(
    fc.property(text, fc.nat(40), (whole, maxBytes) => {
      const { text: kept, isCut } = cutText(whole, maxBytes);
      const [next = ''] = whole.slice(kept.length);
      expect(whole.startsWith(kept) && kept.isWellFormed()).toBe(true);
      expect(Buffer.byteLength(kept)).toBeLessThanOrEqual(maxBytes);
      expect(isCut).toBe(kept !== whole);
      // The next character had no room.
      expect(!isCut || Buffer.byteLength(kept + next) > maxBytes).toBe(true);
    }),
  );
});

test('a text that grows stays the beginning of itself wherever it is cut', () => {
  fc.assert(
    fc.property(text, text, fc.nat(40), (first, more, maxBytes) => {
      expect(cutText(first + more, maxBytes).text.startsWith(cutText(first, maxBytes).text)).toBe(true);
    }),
  );
});

test('of texts the latest are kept, so many, and with so many characters together', () => {
  const few = new RecentTexts({ texts: 2, characters: 100 });
  for (const key of ['a', 'b', 'c']) few.set(key, key);
  expect(['a', 'b', 'c'].map((key) => few.take(key))).toEqual([null, 'b', 'c']);

  const short = new RecentTexts({ texts: 100, characters: 10 });
  short.set('a', 'xxxx');
  short.set('b', 'yyyyyy');
  short.set('b', 'zzzz');
  expect([short.take('a'), short.take('b')]).toEqual(['xxxx', 'zzzz']);
  short.set('a', 'xxxxxx');
  short.set('b', 'yyyyyy');
  short.set('c', 'more than ten characters');
  expect(['a', 'b', 'c'].map((key) => short.take(key))).toEqual([null, null, null]);
});
