import { z } from 'zod';
import type { Operation } from '../../api/contract/define-operation.ts';
import { DEFAULT_LIMIT_BYTES } from '../../api/http/request-body.ts';

const KIBIBYTE = 1024;
/** What a text is made of, and how many bytes each takes in JSON. */
const LETTERS = { plain: 'x', quotes: '"', control: '\u0001', words: 'é ' };

/** Bodies as large as the operation takes them: long texts in all fields, many values, deep ones. */
export function largestBodies({ body, bodyLimitBytes = DEFAULT_LIMIT_BYTES }: Operation): Map<string, string> {
  const fields = body instanceof z.ZodObject ? Object.keys(body.shape) : ['name'];
  const all = (value: unknown) => JSON.stringify(Object.fromEntries(fields.map((field) => [field, value])));
  const share = Math.floor((bodyLimitBytes - KIBIBYTE) / fields.length);
  const texts = Object.entries(LETTERS).map(([name, letter]): [string, string] => {
    const bytes = Buffer.byteLength(JSON.stringify(letter)) - 2;
    return [`texts of ${name}`, all(letter.repeat(Math.floor((share - 64) / bytes)))];
  });
  const count = Math.floor(20_000 / fields.length) - 2;
  const many = Array.from({ length: count }, (_none, index) => index);
  return new Map([
    ...texts,
    ['many fields', all(Object.fromEntries(many.map((index) => [`FIELD_${index}`, 'x'])))],
    ['many entries', all(many.map(() => 'x'))],
    ['many lists', all(many.map(() => []).slice(0, count / 2))],
    ['too many lists', `{"${fields[0]}":[${'[],'.repeat(Math.floor(share / 3) - 10)}[]]}`],
    ['deep lists', `{"${fields[0]}":${'['.repeat(share / 2)}${']'.repeat(share / 2)}}`],
  ]);
}
