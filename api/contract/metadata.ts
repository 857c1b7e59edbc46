import { z } from 'zod';
import type { Metadata } from '../../database/merge-metadata.ts';
import { MAX_METADATA_PAIRS, mergeMetadata } from '../../database/merge-metadata.ts';
import type { EntityManager } from '@mikro-orm/postgresql';
import { invalidRequest } from './invalid-request.ts';

const key = z.string().min(1).max(40);
const value = z.string().max(500);

/** The pairs of something new. */
export const newMetadata = z
  .record(key, value)
  .refine((pairs) => Object.keys(pairs).length <= MAX_METADATA_PAIRS, `Give at most ${MAX_METADATA_PAIRS} pairs.`)
  .meta({
    description:
      'Up to 16 pairs of your own: keys of 1 to 40 characters, values of up to 500 characters. Do not store secrets here.',
    example: { customer: 'cus_42' },
    override: { maxProperties: MAX_METADATA_PAIRS },
  });

/** The pairs to change: the others stay as they are. */
export const changedMetadata = z.record(key, value.nullable()).meta({
  description: 'The pairs to add or replace; `null` removes a pair. The other pairs do not change.',
  example: { customer: 'cus_42', trial: null },
});

/** The pairs as they are answered. */
export const metadataField = z
  .record(z.string(), z.string())
  .meta({ description: 'The pairs that you stored with the resource.' });

/** `metadata[customer]=cus_42` in a query: what has all of these pairs. */
export const metadataFilter = z.record(key, value).meta({
  description: 'Only return resources that have all of these pairs, such as `metadata[customer]=cus_42`.',
  example: { customer: 'cus_42' },
  param: { style: 'deepObject', explode: true },
});

/** Changes the pairs of a row in the caller's transaction. Throws `invalid_request` where they would become too many. */
export async function changeMetadata(
  em: EntityManager,
  table: 'instances' | 'agents',
  id: string,
  changes: Readonly<Record<string, string | null>>,
): Promise<Metadata> {
  const merged = await mergeMetadata(em, table, id, changes);
  if (merged) return merged;
  const message = `There can be at most ${MAX_METADATA_PAIRS} pairs. Remove some by setting them to null.`;
  throw invalidRequest([{ path: 'metadata', message }]);
}
