interface Limits {
  /** How many texts are kept. */
  texts: number;
  /** How many characters they have together. */
  characters: number;
}

/** Texts by key, of which only the latest are kept. */
export class RecentTexts {
  readonly #texts = new Map<string, string>();
  readonly #limits: Limits;
  #characters = 0;

  constructor(limits: Limits) {
    this.#limits = limits;
  }

  set(key: string, text: string): void {
    this.take(key);
    this.#texts.set(key, text);
    this.#characters += text.length;
    for (const oldest of this.#texts.keys()) {
      if (this.#texts.size <= this.#limits.texts && this.#characters <= this.#limits.characters) return;
      this.take(oldest);
    }
  }

  /** The text, which is forgotten then; null when there is none. */
  take(key: string): string | null {
    const text = this.#texts.get(key) ?? null;
    this.#texts.delete(key);
    this.#characters -= text?.length ?? 0;
    return text;
  }
}
