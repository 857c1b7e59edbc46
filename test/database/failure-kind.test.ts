import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { isDatabaseAway, isWriteConflict } from '../../database/failure-kind.ts';
import { openTestOrm } from '../support/test-database.ts';
import type { TestOrm } from '../support/test-database.ts';

let database: TestOrm;

beforeAll(async () => {
  database = await openTestOrm();
});
afterAll(() => database.close());

const withCode = (code: string): Error => Object.assign(new Error('of the database'), { code });

test.each([
  ['08000', 'connection_exception'],
  ['08001', 'sqlclient_unable_to_establish_sqlconnection'],
  ['08003', 'connection_does_not_exist'],
  ['08004', 'sqlserver_rejected_establishment_of_sqlconnection'],
  ['08006', 'connection_failure'],
  ['08007', 'transaction_resolution_unknown'],
  ['25006', 'read_only_sql_transaction'],
  ['40003', 'statement_completion_unknown'],
  ['53000', 'insufficient_resources'],
  ['53100', 'disk_full'],
  ['53200', 'out_of_memory'],
  ['53300', 'too_many_connections'],
  ['57P01', 'admin_shutdown'],
  ['57P02', 'crash_shutdown'],
  ['57P03', 'cannot_connect_now'],
  ['57P05', 'idle_session_timeout'],
  ['58000', 'system_error'],
  ['58030', 'io_error'],
  ['ECONNREFUSED', 'no server listens'],
  ['ECONNRESET', 'the connection was cut'],
  ['EAI_AGAIN', 'the name servers are away'],
  ['EHOSTUNREACH', 'no way to the server'],
])('%s (%s) is an outage', (code) => {
  expect([isDatabaseAway(withCode(code)), isWriteConflict(withCode(code))]).toEqual([true, false]);
});

test.each([
  ['08P01', 'protocol_violation'],
  ['0A000', 'feature_not_supported'],
  ['22001', 'string_data_right_truncation'],
  ['22003', 'numeric_value_out_of_range'],
  ['22008', 'datetime_field_overflow'],
  ['22021', 'character_not_in_repertoire'],
  ['22P02', 'invalid_text_representation'],
  ['22P05', 'untranslatable_character'],
  ['23505', 'unique_violation'],
  ['25P02', 'in_failed_sql_transaction'],
  ['28P01', 'invalid_password'],
  ['3D000', 'invalid_catalog_name'],
  ['40001', 'serialization_failure'],
  ['40P01', 'deadlock_detected'],
  ['42601', 'syntax_error'],
  ['42P01', 'undefined_table'],
  ['53400', 'configuration_limit_exceeded'],
  ['54000', 'program_limit_exceeded'],
  ['55P03', 'lock_not_available'],
  ['57014', 'query_canceled'],
  ['57P04', 'database_dropped'],
  ['XX000', 'internal_error'],
  ['XX001', 'data_corrupted'],
])('%s (%s) is no outage', (code) => {
  expect(isDatabaseAway(withCode(code))).toBe(false);
});

test('a value that PostgreSQL cannot take is no outage', async () => {
  for (const [statement, value] of [
    ['select ?::text', 'a\0b'],
    ['select ?::timestamptz', '+275760-09-13'],
    ['select ?::int', '99999999999'],
  ] as const) {
    const error: unknown = await database.orm.em
      .fork()
      .execute(statement, [value])
      .catch((cause: unknown) => cause);
    expect([statement, error instanceof Error, isDatabaseAway(error)]).toEqual([statement, true, false]);
  }
});
