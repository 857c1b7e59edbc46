/** Texts by key, of which only the latest are kept. */
export class RecentTexts {
  readonly #texts = new Map<string, string>();
  readonly #size: number;

  constructor(size: number) {
    this.#size = size;
  }

  set(key: string, text: string): void {
    this.#texts.delete(key);
    this.#texts.set(key, text);
    const [oldest] = this.#texts.keys();
    if (this.#texts.size > this.#size && oldest !== undefined) this.#texts.delete(oldest);
  }

  /** The text, which is forgotten then; null when there is none. */
  take(key: string): string | null {
    const text = this.#texts.get(key) ?? null;
    this.#texts.delete(key);
    return text;
  }
}
