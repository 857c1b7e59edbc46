import type { RawBuilder } from 'kysely';
import { sql } from './sql.ts';
import type { Sql } from './sql.ts';

/** How many bytes of text one page of a list has at most, but for a first row that has more alone. */
export const PAGE_BYTES = 8 * 1024 ** 2;

/** Of a row of `fittingRows`. */
export interface Sized {
  bytesToHere: number;
}

/** The field `bytesToHere` of a select for `fittingRows`: the bytes of this text from the first row to this one, in this order. */
export function bytesToHere(text: Sql, order: Sql): RawBuilder<number> {
  return sql`(sum(octet_length(coalesce(${text}, ''))) over (order by ${order} rows unbounded preceding))::float8`;
}

/** A select of those rows of this one whose field `content` still fits when it begins. The text of others is not read. */
export function fittingRows(select: Sql): Sql {
  return sql`select * from (${select}) sized where "bytesToHere" - octet_length(coalesce(content, '')) < ${PAGE_BYTES}`;
}

/** The rows of a page, of which one more than `limit` was asked for, and whether more may follow. */
export function pageOf<Row extends Sized>(rows: readonly Row[], limit: number): { rows: Row[]; hasMore: boolean } {
  const isFull = (rows.at(-1)?.bytesToHere ?? 0) >= PAGE_BYTES;
  return { rows: rows.slice(0, limit), hasMore: isFull || rows.length > limit };
}
