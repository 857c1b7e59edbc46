/** A set of strings that forgets its oldest ones. */
export class RecentSet {
  readonly #entries = new Set<string>();
  readonly #size: number;

  constructor(size: number) {
    this.#size = size;
  }

  has(entry: string): boolean {
    return this.#entries.has(entry);
  }

  /** False when it was there already. */
  add(entry: string): boolean {
    if (this.#entries.has(entry)) return false;
    this.#entries.add(entry);
    const [oldest] = this.#entries;
    if (this.#entries.size > this.#size && oldest !== undefined) this.#entries.delete(oldest);
    return true;
  }
}
