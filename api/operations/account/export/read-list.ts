import type { EntityManager } from '@mikro-orm/postgresql';
import { z } from 'zod';
import type { AnyCall, Operation } from '../../../contract/define-operation.ts';

/** One page of a list, however the list names its items and its next page. */
const page = z.looseObject({ nextCursor: z.string().nullish(), nextAfter: z.number().optional() });
const items = z.array(z.unknown());

/** Calls an operation that reads, with the rights of the call that exports. Throws what the operation throws. */
export type Read = (operation: Operation, params: object, query?: Record<string, string>) => Promise<unknown>;

export function createRead(call: AnyCall, fork: () => EntityManager, signal: AbortSignal): Read {
  return async (operation, params, query = {}) => {
    // Headers such as Range are about the archive.
    const asked = { ...call, params, query: operation.query?.parse(query), body: undefined, headers: {} };
    const em = fork();
    const loaded = await operation.load?.({ ...asked, em });
    const handled = await operation.handle({ ...asked, em, loaded, prepared: undefined });
    return operation.after ? operation.after(handled, { ...asked, em, signal }) : handled;
  };
}

/** The pages of a list from its beginning to its end, each as clients get it. */
export async function* readList(read: Read, operation: Operation, params: object = {}): AsyncGenerator<unknown[]> {
  let query: Record<string, string> = { limit: '200' };
  for (;;) {
    const answered = operation.success.schema.parse(await read(operation, params, query));
    const { nextCursor, nextAfter, ...fields } = page.parse(answered);
    const found = z.array(z.unknown()).parse(Object.values(fields).find((value) => items.safeParse(value).success));
    if (found.length > 0) yield found;
    if (nextCursor) query = { limit: '200', cursor: nextCursor };
    else if (nextAfter !== undefined && found.length > 0) query = { limit: '200', after: String(nextAfter) };
    else return;
  }
}
