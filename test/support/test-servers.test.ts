import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Client as TemporalClient, Connection } from '@temporalio/client';
import { SearchAttributeType, TypedSearchAttributes, defineSearchAttributeKey } from '@temporalio/common';
import { Client } from 'pg';
import { eventually } from './eventually.ts';
import { createTestDatabase } from './test-database.ts';
import { createTestNamespace } from './test-temporal.ts';

describe('createTestDatabase', () => {
  test('gives each caller the whole schema, apart from the others', async () => {
    const [one, other] = await Promise.all([createTestDatabase(), createTestDatabase()]);
    expect(one.url).not.toBe(other.url);
    expect(await tables(one.url)).toEqual(expect.arrayContaining(['accounts', 'agents', 'messages', 'model_calls']));
    await query(one.url, 'create table only_here ()');
    expect(await tables(other.url)).not.toContain('only_here');
    await Promise.all([one.drop(), other.drop()]);
    await expect(query(one.url, 'select 1')).rejects.toThrow(/does not exist/);
  });
});

describe('createTestNamespace', () => {
  let connection: Connection;
  let client: TemporalClient;

  beforeAll(async () => {
    const { address, namespace } = await createTestNamespace();
    connection = await Connection.connect({ address });
    client = new TemporalClient({ connection, namespace });
  });

  afterAll(() => connection.close());

  test('takes a workflow at once, and lists it by our search attributes', async () => {
    const key = defineSearchAttributeKey('InstanceId', SearchAttributeType.KEYWORD);
    const typedSearchAttributes = new TypedSearchAttributes([{ key, value: 'inst_1' }]);
    await client.workflow.start('unknown', { workflowId: 'w', taskQueue: 'q', typedSearchAttributes });
    await eventually(async () => {
      const found: string[] = [];
      for await (const { workflowId } of client.workflow.list({ query: "InstanceId = 'inst_1'" })) found.push(workflowId);
      expect(found).toEqual(['w']);
    });
  });
});

async function tables(url: string): Promise<string[]> {
  const rows = await query(url, "select tablename from pg_tables where schemaname = 'public'");
  return rows.map(({ tablename }) => String(tablename));
}

async function query(url: string, statement: string): Promise<Record<string, unknown>[]> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(statement)).rows;
  } finally {
    await client.end();
  }
}
