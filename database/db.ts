import { EntitySchema, ReferenceKind, UnderscoreNamingStrategy } from '@mikro-orm/postgresql';
import type { EntityManager, EntityProperty, InferClassEntityDB, Opt } from '@mikro-orm/postgresql';
import { sql } from 'kysely';
import type { Generated, Kysely, RawBuilder, Selectable } from 'kysely';
import type { ENTITIES } from './orm-config.ts';

const NAMES = { tableNamingStrategy: 'entity', columnNamingStrategy: 'property', convertValues: true } as const;

export type EntityClass = (typeof ENTITIES)[number];
type Entities = InferClassEntityDB<EntityClass, typeof NAMES>;

/** The tables by the names of their entities, with columns by the names of their properties. */
export type Db = { [Name in keyof Entities]: { [Property in keyof Entities[Name]]: Column<Entities[Name][Property]> } };

/** One with a default may be left out of an insert. */
type Column<Value> = typeof Opt.__optional extends keyof NonNullable<Value> ? Generated<Plain<Value>> : Value;
type Plain<Value> = Value extends Opt<infer Type> ? Type : Value;

/** A row of an entity's table, as a statement answers it that selects the columns under their own names. */
export type Row<Name extends keyof Db> = Selectable<Db[Name]>;

/**
 * Statements by the names of entities and their properties, typed by them and bound, in the transaction of this
 * EntityManager if it has one. MikroORM reads a result by the names of its columns alone: a moment under another name than
 * its own stays a text (use `epochMs`), and of several entities with a column of the same name it takes any (select it
 * under an alias, a number with `asNumber`). An update names its table without an alias.
 */
export function db(em: EntityManager): Kysely<Db> {
  return em.getKysely<Db>(NAMES);
}

export type Columns<Entity extends EntityClass> = Entity extends { '~entityName'?: infer Name extends keyof Db }
  ? { readonly [Property in keyof Row<Name>]: RawBuilder<Row<Name>[Property]> }
  : never;

/**
 * The columns of the row of this entity that a statement calls `alias`, by the names of its properties. For expressions
 * that several statements share, and for the few statements that are templates. Without `alias`: as what `set` and the
 * columns of an insert name.
 */
export function columns<Entity extends EntityClass>(entity: Entity, alias = ''): Columns<Entity> {
  const ofEntity = COLUMNS.get(entity) ?? new Map<string, Record<string, RawBuilder<unknown>>>();
  const named = ofEntity.get(alias) ?? nameColumns(entity, alias);
  COLUMNS.set(entity, ofEntity.set(alias, named));
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the properties of a schema are those of its class
  return named as Columns<Entity>;
}

/** By entity and alias. */
const COLUMNS = new Map<EntityClass, Map<string, Record<string, RawBuilder<unknown>>>>();

function nameColumns(entity: EntityClass, alias: string): Record<string, RawBuilder<unknown>> {
  const schema = EntitySchema.REGISTRY.get(entity);
  if (!schema) throw new Error(`${entity.name} is no entity`);
  const named = Object.entries<EntityProperty>(schema.meta.properties).map(([property, facts]) => {
    const name = columnName(property, facts);
    // One piece of text, because these stand many times in statements that are made with every call.
    const column = sql.raw(alias === '' ? `"${name}"` : `"${alias}"."${name}"`);
    ORIGINS.set(column, { entity, property });
    return [property, column] as const;
  });
  return Object.fromEntries(named);
}

/** The same where there may be no row, as behind a left join. */
export function optionalColumns<Entity extends EntityClass>(entity: Entity, alias: string): OptionalColumns<Entity> {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the same columns, each of which may be null
  return columns(entity, alias) as unknown as OptionalColumns<Entity>;
}

type OptionalColumns<Entity extends EntityClass> = {
  readonly [Property in keyof Columns<Entity>]: Columns<Entity>[Property] extends RawBuilder<infer Value>
    ? RawBuilder<Value | null>
    : never;
};

/** This column in a statement of which all rows have a value there. */
export function notNull<Value>(column: RawBuilder<Value>): RawBuilder<NonNullable<Value>> {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the caller's statement has no other rows
  return column as RawBuilder<NonNullable<Value>>;
}

interface Origin {
  entity: abstract new (...args: never[]) => object;
  property: string;
}

const ORIGINS = new WeakMap<object, Origin>();

/** Which property a column of `columns` is; undefined for what is no column. */
export function originOf(column: object): Origin | undefined {
  return ORIGINS.get(column);
}

const STRATEGY = new UnderscoreNamingStrategy();

/** As MikroORM names it, also before it has started and read all entities. */
function columnName(property: string, { kind, fieldNames, name }: EntityProperty): string {
  const given = fieldNames?.[0] ?? (name === property ? undefined : name);
  if (given !== undefined) return given;
  const isReference = kind === ReferenceKind.MANY_TO_ONE || kind === ReferenceKind.ONE_TO_ONE;
  return isReference ? STRATEGY.joinColumnName(property) : STRATEGY.propertyToColumnName(property);
}
