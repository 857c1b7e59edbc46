import type { EntityManager } from '@mikro-orm/postgresql';
import { query, sql } from './sql.ts';

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
  const merged = sql`jsonb_strip_nulls(metadata || ${JSON.stringify(changes)}::jsonb)`;
  const [row] = await query<{ metadata: Metadata }>(
    em,
    sql`update ${sql.table(table)} set metadata = ${merged}
         where id = ${id} and (select count(*) from jsonb_object_keys(${merged})) <= ${MAX_METADATA_PAIRS}
        returning metadata`,
  );
  return row?.metadata ?? null;
}
