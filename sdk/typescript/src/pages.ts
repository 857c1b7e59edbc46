interface Fields<Page, Items extends keyof Page> {
  items: Items;
  cursor: string;
  next: string;
}

type Item<Page, Items extends keyof Page> = Page[Items] extends readonly (infer One)[] ? One : never;

/**
 * A list of the API. `for await` goes through all its items and asks for the next page when it gets there;
 * `page()` answers one page as the API sends it.
 */
export class Pages<Page, Items extends keyof Page> implements AsyncIterable<Item<Page, Items>> {
  readonly #read: (more: Record<string, string | number>) => Promise<Page>;
  readonly #fields: Fields<Page, Items>;

  constructor(read: (more: Record<string, string | number>) => Promise<Page>, fields: Fields<Page, Items>) {
    this.#read = read;
    this.#fields = fields;
  }

  /** The first page. */
  page(): Promise<Page> {
    return this.#read({});
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Item<Page, Items>, void, undefined> {
    const { items, cursor, next } = this.#fields;
    let more: Record<string, string | number> = {};
    for (;;) {
      const page = await this.#read(more);
      const list: unknown = page[items];
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- boundary: the document says that the items have this type
      const found = (Array.isArray(list) ? list : []) as Item<Page, Items>[];
      yield* found;
      const following: unknown = Object.entries(page ?? {}).find(([name]) => name === next)?.[1];
      // The feed of events has no last page: it ends where there is nothing more.
      if (found.length === 0 || (typeof following !== 'string' && typeof following !== 'number')) return;
      more = { [cursor]: following };
    }
  }
}
