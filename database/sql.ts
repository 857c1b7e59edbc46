import type { EntityManager } from '@mikro-orm/postgresql';
import { sql } from 'kysely';
import type { RawBuilder } from 'kysely';

export { sql };

/** A statement or a part of one, made with `sql`: its values are bound, never part of its text. */
export type Sql = RawBuilder<unknown>;

interface QueryOptions {
  /** Ends the wait; the statement is given up. */
  signal?: AbortSignal;
}

/** The rows that a statement answers, in the transaction of this EntityManager if it has one. Throws the driver's errors. */
export async function query<Row>(em: EntityManager, statement: Sql, options: QueryOptions = {}): Promise<Row[]> {
  const answer = await statement.$castTo<Row>().execute(em.getKysely(), options);
  return answer.rows;
}

/** Runs a statement whose rows do not matter. Answers how many it inserted, updated or deleted. As `query`. */
export async function run(em: EntityManager, statement: Sql): Promise<number> {
  const { numAffectedRows } = await statement.execute(em.getKysely());
  return Number(numAffectedRows ?? 0);
}

/**
 * As `query`, for what is asked with every call: the database keeps its plan on each connection, under this name, because
 * to plan it takes longer than to carry it out.
 */
export async function plannedQuery<Row>(em: EntityManager, name: string, statement: Sql): Promise<Row[]> {
  const db = em.getKysely();
  const compiled = statement.$castTo<Row>().compile(db);
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- pg takes a named statement in the place of a text, and Kysely hands it on as it is
  const named = { name, text: compiled.sql } as unknown as string;
  const answer = await db.executeQuery<Row>({ ...compiled, sql: named });
  return answer.rows;
}

/** Holds where all of these conditions hold. */
export function allOf(conditions: readonly Sql[]): Sql {
  return sql.join([...conditions], sql` and `);
}

/** A moment as milliseconds since 1970; null where there is none. */
export function epochMs(moment: Sql): Sql {
  return sql`(extract(epoch from ${moment}) * 1000)::float8`;
}
