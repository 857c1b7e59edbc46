import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { parseFrame } from '../../../../runtime/openclaw/wire/gateway-frames.ts';

/** What arrives of a payload that a gateway sends. */
function received(payload: unknown): unknown {
  const frame = parseFrame(JSON.stringify({ type: 'event', event: 'chat', payload }));
  return frame?.type === 'event' ? frame.payload : undefined;
}

const brokenText = fc.string({ unit: fc.constantFrom('a', 'ü', '😀', '\0', '\ud83d', '\ude00', '\\', '\\u0000', '\ufffd') });

test.each([
  ['NUL', 'before\0after', 'before\ufffdafter'],
  ['the first half of a character', 'before\ud83dafter', 'before\ufffdafter'],
  ['the second half of a character', '\ude00after', '\ufffdafter'],
  ['a character that is cut at the end', 'before\ud83d', 'before'],
  ['a whole character', 'before\ud83d\ude00', 'before😀'],
  ['the escape of NUL as text', 'before\\u0000after', 'before\\u0000after'],
])('%s arrives as text that can be stored, wherever it stands', (_what, sent, arrived) => {
  expect(received({ text: sent, list: [{ deep: sent }], number: 1, none: null })).toEqual({
    text: arrived,
    list: [{ deep: arrived }],
    number: 1,
    none: null,
  });
});

test('the error of an answer arrives as text that can be stored', () => {
  const error = { code: 'UNAVAILABLE', message: 'no \0 \ud83d way' };
  expect(parseFrame(JSON.stringify({ type: 'res', id: '1', ok: false, error }))).toMatchObject({
    error: { message: 'no \ufffd \ufffd way' },
  });
});

test('whatever a gateway sends, its text has neither NUL nor halves of characters', () => {
  fc.assert(
    fc.property(brokenText, (text) => {
      const arrived = String(received(text));
      expect(arrived.isWellFormed()).toBe(true);
      expect(arrived).not.toContain('\0');
    }),
  );
});

test('wherever a text is cut, what arrives is the beginning of what arrives later', () => {
  fc.assert(
    fc.property(brokenText, (text) => {
      for (let end = 0; end <= text.length; end += 1)
        expect(String(received(text)).startsWith(String(received(text.slice(0, end))))).toBe(true);
    }),
  );
});
