import type { GatewayClient } from './gateway-client.ts';

interface Page {
  /** Where the next one begins; null on the last. */
  nextOffset: number | null;
}

interface Reading<P> {
  /** The method that is called, for the error. */
  of: string;
  /** How many there are at most. */
  maxPages: number;
  read: (offset: number) => Promise<P>;
}

/**
 * The pages of a list of a gateway, one after the other. A list that has no end, or does not go on, is a flood: the
 * connection is closed, and GatewayFloodError thrown. Throws what `read` throws.
 */
export async function* pagesOf<P extends Page>(
  client: GatewayClient,
  { of, maxPages, read }: Reading<P>,
): AsyncGenerator<P, void, undefined> {
  let offset = 0;
  for (let pages = 1; ; pages += 1) {
    const page = await read(offset);
    yield page;
    const { nextOffset } = page;
    if (nextOffset === null) return;
    if (pages >= maxPages) throw client.endForFlood(`${of} has more than ${maxPages} pages`);
    if (nextOffset <= offset) throw client.endForFlood(`a page of ${of} leads back to itself or an earlier one`);
    offset = nextOffset;
  }
}
