import type { EntityManager } from '@mikro-orm/postgresql';
import type { Expression, Insertable, RawBuilder } from 'kysely';
import { columns, originOf } from './db.ts';
import type { Db, EntityClass } from './db.ts';
// oxlint-disable-next-line no-restricted-imports -- here their rows get types
import { plannedQuery, query, sql } from './sql.ts';
import type { QueryOptions, Sql } from './sql.ts';

/** What a template answers: under each name a column (`columns`), or an expression and its type. */
export type Fields = Readonly<Record<string, Expression<unknown>>>;

export type RowOf<F extends Fields> = { [Name in keyof F]: F[Name] extends Expression<infer Value> ? Value : never };

/** Makes the statement of its list of fields, which stands after `select` or `returning`. */
type Template = (fields: Sql) => Sql;

/** The rows of a template, typed by its fields: columns come as their entity says, expressions as the driver gives them. As `query`. */
export async function fetchRows<F extends Fields>(
  em: EntityManager,
  fields: F,
  template: Template,
  options?: QueryOptions,
): Promise<RowOf<F>[]> {
  return read(em, fields, await query<Record<string, unknown>>(em, template(listOnce(em, fields)), options));
}

/** The first of these rows; null where there is none. */
export async function fetchRow<F extends Fields>(
  em: EntityManager,
  fields: F,
  template: Template,
  options?: QueryOptions,
): Promise<RowOf<F> | null> {
  const [row] = await fetchRows(em, fields, template, options);
  return row ?? null;
}

/**
 * As `fetchRow`, by a plan that the database keeps under this name: for what is asked with every call or message. Its text must be
 * the same each time. See `plannedQuery`.
 */
export async function fetchPlannedRow<F extends Fields>(
  em: EntityManager,
  name: string,
  fields: F,
  template: Template,
): Promise<RowOf<F> | null> {
  const [row] = await fetchPlannedRows(em, name, fields, template);
  return row ?? null;
}

/** As `fetchPlannedRow`, for all of the rows. */
export async function fetchPlannedRows<F extends Fields>(
  em: EntityManager,
  name: string,
  fields: F,
  template: Template,
): Promise<RowOf<F>[]> {
  return read(em, fields, await plannedQuery<Record<string, unknown>>(em, name, template(listOnce(em, fields))));
}

/** The fields as they are listed, for a statement that selects them within another one. */
export function listOf(fields: Fields): Sql {
  return sql.join(Object.entries(fields).map(([name, field]) => sql`${field} as ${sql.id(name)}`));
}

/** By fields. Null: they were listed once, and not kept. */
const LISTS = new WeakMap<Fields, Sql | null>();

/** As `listOf`. Fields that are given again are a constant: their list is kept, as one text where it has no values. */
function listOnce(em: EntityManager, fields: Fields): Sql {
  const kept = LISTS.get(fields);
  if (kept) return kept;
  const list = listOf(fields);
  LISTS.set(fields, kept === null ? (textOf(em, list) ?? list) : null);
  return list;
}

function textOf(em: EntityManager, part: Sql): Sql | null {
  const { sql: text, parameters } = part.compile(em.getKysely());
  return parameters.length === 0 ? sql.raw(text) : null;
}

function read<F extends Fields>(em: EntityManager, fields: F, rows: Record<string, unknown>[]): RowOf<F>[] {
  const readers = Object.entries(fields).flatMap(([name, field]) => {
    const reader = readerOf(em, field);
    return reader ? [[name, reader] as const] : [];
  });
  for (const row of rows) for (const [name, reader] of readers) row[name] = row[name] === null ? null : reader(row[name]);
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the statement answers these fields, which say their types
  return rows as RowOf<F>[];
}

type Reader = (value: unknown) => unknown;

const READERS = new WeakMap<object, Reader | null>();

/** How a value of this column becomes what its entity says that it is; null where the driver gives it so, and for an expression. */
function readerOf(em: EntityManager, field: Expression<unknown>): Reader | null {
  const known = READERS.get(field);
  if (known !== undefined) return known;
  const reader = makeReader(em, field);
  READERS.set(field, reader);
  return reader;
}

function makeReader(em: EntityManager, field: Expression<unknown>): Reader | null {
  const origin = originOf(field);
  if (!origin) return null;
  const { props } = em.getMetadata().get(origin.entity);
  const property = props.find(({ name }) => name === origin.property);
  const type = property?.customType;
  const platform = em.getPlatform();
  if (type) return (value): unknown => type.convertToJSValue(value, platform);
  return property?.runtimeType === 'Date' ? (value) => new Date(String(value)) : null;
}

/** What an insert writes: a value or an expression for each column that has no default. */
export type Values<Entity> = Entity extends { '~entityName'?: infer Name extends keyof Db }
  ? { [Property in keyof Insertable<Db[Name]>]: Insertable<Db[Name]>[Property] | Expression<Insertable<Db[Name]>[Property]> }
  : never;

/** The columns and the values of an insert, after the name of its table. Each row has the same properties. */
export function valuesOf<Entity extends EntityClass>(entity: Entity, ...rows: [Values<Entity>, ...Values<Entity>[]]): Sql {
  const properties = Object.keys(rows[0]);
  const tuples = rows.map((row) => sql`(${valuesIn(properties, row)})`);
  return sql`(${namesOf(entity, properties)}) values ${sql.join(tuples)}`;
}

/** The columns of an insert and a `select` of their values, before its `from`: one row for each row there. */
export function selectionOf<Entity extends EntityClass>(entity: Entity, row: Values<Entity>): Sql {
  const properties = Object.keys(row);
  return sql`(${namesOf(entity, properties)}) select ${valuesIn(properties, row)}`;
}

function namesOf(entity: EntityClass, properties: readonly string[]): Sql {
  const names: Record<string, Sql> = columns(entity);
  return sql.join(properties.map((property) => names[property]));
}

function valuesIn(properties: readonly string[], row: Values<EntityClass>): Sql {
  const values: Record<string, unknown> = row;
  return sql.join(properties.map((property) => values[property] ?? null));
}

/** The fields of a subquery that was made with `listOf(fields)` and has this name. */
export function fieldsOf<F extends Fields>(name: string, fields: F): { [Name in keyof F]: RawBuilder<RowOf<F>[Name]> } {
  const named = Object.keys(fields).map((field) => [field, sql.id(name, field)]);
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the same names, with the types that the subquery gives them
  return Object.fromEntries(named) as { [Name in keyof F]: RawBuilder<RowOf<F>[Name]> };
}
