import { z } from 'zod';

/**
 * A dump is lines of JSON: the header, then each table followed by its rows as texts (the row as PostgreSQL writes it), then the
 * sequences, then the end. A dump without its end is incomplete.
 */
export const FORMAT = 1;

export const headerLine = z.object({
  format: z.literal(FORMAT),
  installationId: z.string(),
  takenAt: z.iso.datetime(),
  /** Those that the database had, in order. */
  migrations: z.array(z.string()).min(1),
});

export type DumpHeader = z.infer<typeof headerLine>;

export const tableLine = z.object({
  table: z.string(),
  /** All that a row has, in the order of its text, and those of them that are stored, not generated. */
  columns: z.array(z.string()),
  stored: z.array(z.string()),
});

export type DumpedTable = z.infer<typeof tableLine>;

export const sequenceLine = z.object({ sequence: z.string(), last: z.string() });

export const endLine = z.object({ end: z.literal(true), rows: z.int() });

export const bodyLine = z.union([z.string(), tableLine, sequenceLine, endLine]);

/** What the text of a row depends on, so that it is read as it was written. */
export const ROW_STYLE = [
  `set local datestyle = 'ISO, YMD'`,
  `set local intervalstyle = 'postgres'`,
  `set local timezone = 'UTC'`,
  `set local bytea_output = 'hex'`,
  'set local extra_float_digits = 1',
];

/** The tables of a database with their columns. What is not logged is lost with a crash anyway. */
export const TABLES = `
select c.relname as table, array_agg(a.attname::text order by a.attnum) as columns,
       array_agg(a.attname::text order by a.attnum) filter (where a.attgenerated = '') as stored
  from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
 where c.relnamespace = 'public'::regnamespace and c.relkind = 'r' and c.relpersistence = 'p' and c.relname <> 'mikro_orm_migrations'
 group by c.relname order by c.relname`;

export const MIGRATIONS = 'select name from mikro_orm_migrations order by id';
