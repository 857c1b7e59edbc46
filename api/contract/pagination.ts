import { z } from 'zod';
import { LAST_TIME_MS } from './fields.ts';

interface Limits {
  defaultLimit: number;
  maxLimit: number;
}

/** A time of a row, in milliseconds. */
export const rowTime = z.int().nonnegative().max(LAST_TIME_MS);

/** An id of a row, or an invite code. A client can send any text as a cursor, such as one with NUL, which PostgreSQL refuses. */
export const rowId = z.string().regex(/^[\w-]{1,64}$/);

/** The place of the last row of a page: when it was made, and its id, which decides among equals. */
export const byCreation = z.tuple([rowTime, rowId]);

/** `limit`: a whole number from 1; what is over the maximum is clamped. */
export function limitField({ defaultLimit, maxLimit }: Limits) {
  return z
    .string()
    .regex(/^0*[1-9]\d*$/, 'Must be a whole number from 1.')
    .transform((text) => Math.min(Number(text), maxLimit))
    .default(defaultLimit)
    .meta({
      description: `The maximum number of items to return. Values over ${maxLimit} are treated as ${maxLimit}.`,
      override: ({ jsonSchema }) => {
        delete jsonSchema.pattern;
        Object.assign(jsonSchema, { type: 'integer', minimum: 1, default: defaultLimit });
      },
    });
}

/** The rows after this place in a list that begins with the newest, by these columns: the row's id and its moment. */
export function olderThan(cursor: readonly [number, string] | undefined, idColumn: string, momentColumn = 'createdAt') {
  if (!cursor) return {};
  const at = new Date(cursor[0]);
  return { $or: [{ [momentColumn]: { $lt: at } }, { [momentColumn]: at, [idColumn]: { $lt: cursor[1] } }] };
}

function readCursor(text: string): unknown {
  try {
    return JSON.parse(Buffer.from(text, 'base64url').toString('utf8'));
  } catch {
    return undefined;
  }
}

/**
 * Keyset pages of one list. The cursor is opaque to clients: the name of the list and the position of the last row.
 * It is checked, not signed, since all it can do is choose where to go on in one's own rows.
 */
export function paginate<P extends z.ZodType>(list: string, position: P, limits: Limits = { defaultLimit: 50, maxLimit: 200 }) {
  const cursor = z.tuple([z.literal(list), position]);
  return {
    /** For the query of the operation. */
    fields: {
      limit: limitField(limits),
      cursor: z
        .string()
        .transform((text, context) => {
          const parsed = cursor.safeParse(readCursor(text));
          if (parsed.success) return parsed.data[1];
          context.addIssue('Must be the nextCursor of an earlier page of this list.');
          return z.NEVER;
        })
        .optional()
        .meta({ description: 'The `nextCursor` of the previous page.' }),
    },
    /** Makes a page out of up to limit + 1 rows. */
    page<Row>(rows: readonly Row[], limit: number, positionOf: (row: Row) => z.input<P>) {
      return this.pageOf(rows.slice(0, limit), rows.length > limit, positionOf);
    },
    /** Makes a page of these rows. */
    pageOf<Row>(items: readonly Row[], hasMore: boolean, positionOf: (row: Row) => z.input<P>) {
      const last = items.at(-1);
      return { items, nextCursor: hasMore && last !== undefined ? this.cursorOf(positionOf(last)) : null };
    },
    /** Of the page that begins after this position. */
    cursorOf(after: z.input<P>): string {
      return Buffer.from(JSON.stringify([list, after])).toString('base64url');
    },
  };
}

export const nextCursor = z.string().nullable().meta({ description: 'The `cursor` of the next page; `null` on the last page.' });
