import { expect, test } from '@jest/globals';
import { isDatabaseRefusal } from '../../database/failure-kind.ts';

const withCode = (code: string): Error => Object.assign(new Error('of the database'), { code });

test.each([
  ['22021', 'character_not_in_repertoire'],
  ['23514', 'check_violation'],
  ['42703', 'undefined_column'],
  ['54000', 'program_limit_exceeded'],
  ['P0001', 'raise_exception'],
])('%s (%s) is a refusal of the database', (code) => {
  expect(isDatabaseRefusal(withCode(code))).toBe(true);
});

test.each([
  ['40001', 'serialization_failure'],
  ['40P01', 'deadlock_detected'],
  ['55P03', 'lock_not_available'],
  ['57014', 'query_canceled'],
  ['57P01', 'admin_shutdown'],
  ['53300', 'too_many_connections'],
  ['ECONNREFUSED', 'no server listens'],
  ['CONNECTION_LOST', 'of a gateway'],
])('%s (%s) may pass, or is not of the database', (code) => {
  expect(isDatabaseRefusal(withCode(code))).toBe(false);
});

test('an error without a code is no refusal of the database', () => {
  expect(isDatabaseRefusal(new Error('The connection to the gateway was lost'))).toBe(false);
});
