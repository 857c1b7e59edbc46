import type { z } from 'zod';

const TYPE_NAMES: Record<string, string> = {
  string: 'a string',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  object: 'an object',
  record: 'an object',
  array: 'a list',
  null: 'null',
  date: 'a date',
};

const FORMATS: Record<string, string> = {
  email: 'Give an e-mail address such as user@example.com.',
  url: 'Give a full URL such as https://example.com/path.',
  datetime: 'Give a time in ISO 8601 such as 2026-04-07T09:00:00.000Z.',
};

function typeName(type: string): string {
  return TYPE_NAMES[type] ?? type;
}

function typeOf(input: unknown): string {
  if (input === null) return 'null';
  return typeName(Array.isArray(input) ? 'array' : typeof input);
}

function sizeSentence(bound: 'at least' | 'at most', limit: number | bigint, origin: string): string {
  if (origin === 'string') return `Use ${bound} ${limit} character${limit === 1 ? '' : 's'}.`;
  if (origin === 'array' || origin === 'set') return `Give ${bound} ${limit} entr${limit === 1 ? 'y' : 'ies'}.`;
  return `Must be ${bound} ${limit}.`;
}

/** A sentence that says what to change, for every issue whose schema does not say it itself. */
export const describeIssue: z.core.$ZodErrorMap = (issue) => {
  switch (issue.code) {
    case 'invalid_type':
      if (issue.input === undefined) return `Required: give ${typeName(issue.expected)}.`;
      return `Must be ${typeName(issue.expected)}, not ${typeOf(issue.input)}.`;
    case 'too_small':
      return sizeSentence('at least', issue.minimum, issue.origin);
    case 'too_big':
      return sizeSentence('at most', issue.maximum, issue.origin);
    case 'invalid_format':
      return FORMATS[issue.format] ?? 'Has an invalid format. See the pattern of this field in the API reference.';
    case 'invalid_value':
      return `Must be one of: ${issue.values.map(String).join(', ')}.`;
    case 'not_multiple_of':
      return `Must be a multiple of ${issue.divisor}.`;
    case 'invalid_key':
      return issue.issues[0]?.message ?? 'Is not a valid key.';
    default:
      return 'Is not valid.';
  }
};
