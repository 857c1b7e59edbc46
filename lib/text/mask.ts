export const MASK = '[masked]';

/** Shorter values are not masked: they occur in ordinary text, so that masking them would hide whole lines. */
const LEAST_VALUE = 4;
/** The shortest line of a value that is masked by itself. A value may have thousands of lines. */
const LEAST_LINE = 8;
const MAX_TEXTS = 20_000;
const MAX_CHARACTERS = 4 * 1024 * 1024;
/** Less than a tenth of a second. A comparison is a step, and so are a thousand of its characters. */
const MAX_STEPS = 500_000;
const CHARACTERS_PER_STEP = 1_000;
/** To look up whether something hidden begins at a character takes a quarter of a step. */
const CHARACTERS_OF_A_LOOK = 4;

/** There is more to hide, or to compare, than fits into a tenth of a second. */
export class MaskBudgetError extends Error {}

/** Masks what a text must not show. Throws MaskBudgetError when a text takes too long. */
export type Mask = (text: string) => string;

/**
 * A mask of these values, wherever they are read: as a whole, as a string of JSON, and by their lines of eight characters
 * or more. Values of less than four characters are left alone. The work of all its calls together is bounded, whatever the
 * values and texts are. Throws MaskBudgetError when there are more than 20,000 different texts or 4 Mi characters to hide.
 */
export function createMask(values: Iterable<string>): Mask {
  const texts = textsOf(values);
  const long = index(texts, LEAST_LINE, (length) => length >= LEAST_LINE);
  const short = index(texts, LEAST_VALUE, (length) => length < LEAST_LINE);
  let steps = 0;

  /** How many characters of something hidden begin here. */
  function hiddenAt(text: string, at: number, { size, candidates }: Index): number {
    for (const hidden of candidates.get(text.slice(at, at + size)) ?? []) {
      steps += 1 + hidden.length / CHARACTERS_PER_STEP;
      if (steps > MAX_STEPS) throw tooMuch();
      // Not startsWith, which compares one character after the other.
      if (text.slice(at, at + hidden.length) === hidden) return hidden.length;
    }
    return 0;
  }

  return (text) => {
    if ((steps += text.length / CHARACTERS_OF_A_LOOK) > MAX_STEPS) throw tooMuch();
    const shown: string[] = [];
    let [shownFrom, hiddenTo] = [0, 0];
    for (let at = 0; at < text.length; at += 1) {
      const length = Math.max(hiddenAt(text, at, long), short.candidates.size > 0 ? hiddenAt(text, at, short) : 0);
      if (length === 0) continue;
      // What overlaps is hidden as one.
      if (at > hiddenTo || hiddenTo === 0) shown.push(text.slice(shownFrom, at), MASK);
      hiddenTo = Math.max(hiddenTo, at + length);
      shownFrom = hiddenTo;
    }
    return shown.length === 0 ? text : shown.join('') + text.slice(shownFrom);
  };
}

function textsOf(values: Iterable<string>): Set<string> {
  const texts = new Set<string>();
  let characters = 0;
  const add = (text: string, least: number) => {
    if (text.length < least || texts.has(text)) return;
    texts.add(text);
    characters += text.length;
    if (texts.size > MAX_TEXTS || characters > MAX_CHARACTERS) throw tooMuch();
  };
  for (const value of new Set(values)) {
    add(value, LEAST_VALUE);
    add(inJson(value), LEAST_VALUE);
    for (const line of value.split('\n')) {
      const text = line.trim();
      if (text.length < LEAST_LINE || texts.has(text)) continue;
      add(text, LEAST_LINE);
      add(inJson(text), LEAST_LINE);
    }
  }
  return texts;
}

function inJson(text: string): string {
  return JSON.stringify(text).slice(1, -1);
}

interface Index {
  size: number;
  /** By their first characters, the longest first. */
  candidates: ReadonlyMap<string, readonly string[]>;
}

function index(texts: Iterable<string>, size: number, isMine: (length: number) => boolean): Index {
  const mine = [...texts].filter(({ length }) => isMine(length)).toSorted((a, b) => b.length - a.length);
  return { size, candidates: Map.groupBy(mine, (text) => text.slice(0, size)) };
}

function tooMuch(): MaskBudgetError {
  return new MaskBudgetError('there is too much to mask');
}
