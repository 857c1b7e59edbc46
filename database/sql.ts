import type { EntityManager } from '@mikro-orm/postgresql';
import { sql } from 'kysely';
import type { Expression, RawBuilder } from 'kysely';

export { sql };

/** A statement or a part of one, made with `sql`: its values are bound, never part of its text. */
export type Sql = RawBuilder<unknown>;

export interface QueryOptions {
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

/** As `run`, by a plan that the database keeps under this name. Its text must be the same each time. See `plannedQuery`. */
export async function runPlanned(em: EntityManager, name: string, statement: Sql): Promise<void> {
  await plannedQuery(em, name, statement);
}

/** Waits until no other transaction holds the lock of this number, and holds it until the end of the caller's. */
export async function lockUntilCommit(em: EntityManager, lock: number): Promise<void> {
  await run(em, sql`select pg_advisory_xact_lock(${lock})`);
}

/** Holds where all of these conditions hold. */
export function allOf(conditions: readonly Sql[]): Sql {
  return sql.join([...conditions], sql` and `);
}

/** A moment as milliseconds since 1970; null where there is none. */
export function epochMs<Moment>(moment: Expression<Moment>): RawBuilder<null extends Moment ? number | null : number> {
  return sql`(extract(epoch from ${moment}) * 1000)::float8`;
}

/** A count or a sum that JavaScript's numbers hold exactly: below 2^53. */
export function asNumber<Value>(value: Expression<Value>): RawBuilder<null extends Value ? number | null : number> {
  return sql`(${value})::float8`;
}

/** An amount beyond that as its digits. */
export function asText<Value>(value: Expression<Value>): RawBuilder<null extends Value ? string | null : string> {
  return sql`(${value})::text`;
}

/** The database's time, at which the transaction began. */
export const NOW = sql<Date>`now()`;

/** So many milliseconds after the database's time, or before it. */
export function fromNow(ms: number): RawBuilder<Date> {
  return sql`now() + make_interval(secs => ${ms / 1_000})`;
}

/** How many seconds ago that moment was. */
export function secondsSince<Moment>(moment: Expression<Moment>): RawBuilder<null extends Moment ? number | null : number> {
  return sql`extract(epoch from now() - ${moment})::float8`;
}

/** Whether this statement has a row. */
export function isThere(rows: Expression<unknown>): RawBuilder<boolean> {
  return sql`exists ${rows}`;
}

/** One of these values, after `=`: one bound value for all of them. */
export function anyOf<Value>(values: readonly Value[]): RawBuilder<Value> {
  return sql`any(${values})`;
}

/** Whether this has a value. */
export function isSet(value: Expression<unknown>): RawBuilder<boolean> {
  return sql`${value} is not null`;
}
