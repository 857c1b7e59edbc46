import type { EntityManager, InferClassEntityDB } from '@mikro-orm/postgresql';
import type { Kysely } from 'kysely';
import type { ENTITIES } from './orm-config.ts';

const NAMES = { tableNamingStrategy: 'entity', columnNamingStrategy: 'property', convertValues: true } as const;

type Db = InferClassEntityDB<(typeof ENTITIES)[number], typeof NAMES>;

/**
 * Statements by the names of entities and their properties, typed by them and bound, in the transaction of this
 * EntityManager if it has one. Select a column under its own name: the values of an alias are not converted.
 */
export function db(em: EntityManager): Kysely<Db> {
  return em.getKysely<Db>(NAMES);
}
