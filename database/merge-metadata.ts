import type { EntityManager } from '@mikro-orm/postgresql';
import { columns } from './db.ts';
import { Agent } from './entities/agent.ts';
import { Instance } from './entities/instance.ts';
import { fetchRow } from './rows.ts';
import { sql } from './sql.ts';

export type Metadata = Record<string, string>;

export const MAX_METADATA_PAIRS = 16;

/**
 * Adds and replaces pairs of a row, and removes those that are null, in one statement, so that changes at once are merged.
 * Answers the pairs as they are then; null, and nothing is changed, where they would be more than 16.
 */
export async function mergeMetadata(
  em: EntityManager,
  table: 'instances' | 'agents',
  id: string,
  changes: Readonly<Record<string, string | null>>,
): Promise<Metadata | null> {
  const row = table === 'instances' ? columns(Instance) : columns(Agent);
  const merged = sql`jsonb_strip_nulls(${row.metadata} || ${JSON.stringify(changes)}::jsonb)`;
  const changed = await fetchRow(
    em,
    { metadata: row.metadata },
    (fields) => sql`
      update ${sql.table(table)} set ${row.metadata} = ${merged}
       where ${row.id} = ${id} and (select count(*) from jsonb_object_keys(${merged})) <= ${MAX_METADATA_PAIRS}
      returning ${fields}`,
  );
  return changed?.metadata ?? null;
}
