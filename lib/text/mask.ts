import { atOnce } from '../async/in-slices.ts';

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
const CODES = 2 ** 16;
/** A part of the work that is done in parts: a fraction of a millisecond. */
const STEPS_OF_A_PART = 1_000;
const CHARACTERS_OF_A_PART = 4_096;

/** There is more to hide, or to compare, than fits into a tenth of a second. */
export class MaskBudgetError extends Error {}

/** Masks what a text must not show. Throws MaskBudgetError when a text takes too long. */
export type Mask = (text: string) => string;

/** What is done in small parts, with a yield after each. */
type Parts<T> = Generator<undefined, T, undefined>;

/**
 * A mask of these values, wherever they are read: as a whole, as a string of JSON, and by their lines of eight characters
 * or more. Values of less than four characters are left alone. The work of all its calls together is bounded, whatever the
 * values and texts are. Throws MaskBudgetError when there are more than 20,000 different texts or 4 Mi characters to hide.
 */
export function createMask(values: Iterable<string>): Mask {
  const mask = atOnce(maskOf(values));
  return (text) => atOnce(mask(text));
}

/** All of these texts through one such mask, as work that `inSlices` can carry out. Throws MaskBudgetError. */
export function* maskTexts(values: Iterable<string>, texts: Iterable<string>): Parts<string[]> {
  const mask = yield* maskOf(values);
  const shown: string[] = [];
  for (const text of texts) shown.push(yield* mask(text));
  return shown;
}

function* maskOf(values: Iterable<string>): Parts<(text: string) => Parts<string>> {
  const hidden = indexOf(yield* textsOf(values));
  let steps = 0;

  function compare(text: string, at: number, value: string): number {
    steps += 1 + value.length / CHARACTERS_PER_STEP;
    if (steps > MAX_STEPS) throw tooMuch();
    // Not startsWith, which compares one character after the other.
    const here = text.slice(at, at + value.length);
    return here === value ? 0 : here < value ? -1 : 1;
  }

  /** How many characters of something hidden begin here: the longest that does. */
  function hiddenAt(text: string, at: number): number {
    const sorted = hidden.beginningWith(text, at);
    if (!sorted) return 0;
    let [from, to] = [0, sorted.length];
    while (from < to) {
      const middle = (from + to) >> 1;
      if (compare(text, at, sorted[middle]?.value ?? '') < 0) to = middle;
      else from = middle + 1;
    }
    // Whatever begins here is this one, or one that this one begins with.
    for (let entry = sorted[from - 1]; entry; entry = entry.beginsWith ?? undefined)
      if (compare(text, at, entry.value) === 0) return entry.value.length;
    return 0;
  }

  return function* mask(text) {
    if ((steps += text.length / CHARACTERS_OF_A_LOOK) > MAX_STEPS) throw tooMuch();
    const shown: string[] = [];
    let [shownFrom, hiddenTo, nextYield] = [0, 0, steps + STEPS_OF_A_PART];
    for (let at = 0; at < text.length; at += 1) {
      if (steps > nextYield || at % CHARACTERS_OF_A_PART === 0) {
        nextYield = steps + STEPS_OF_A_PART;
        yield;
      }
      const length = hiddenAt(text, at);
      if (length === 0) continue;
      // What overlaps is hidden as one.
      if (at > hiddenTo || hiddenTo === 0) shown.push(text.slice(shownFrom, at), MASK);
      hiddenTo = Math.max(hiddenTo, at + length);
      shownFrom = hiddenTo;
    }
    return shown.length === 0 ? text : shown.join('') + text.slice(shownFrom);
  };
}

function* textsOf(values: Iterable<string>): Parts<Set<string>> {
  const texts = new Set<string>();
  let characters = 0;
  const add = (text: string, least: number) => {
    if (text.length < least || texts.has(text)) return;
    texts.add(text);
    characters += text.length;
    if (texts.size > MAX_TEXTS || characters > MAX_CHARACTERS) throw tooMuch();
  };
  for (const value of new Set(values)) {
    yield;
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

interface Hidden {
  value: string;
  /** The longest other text that this one begins with. */
  beginsWith: Hidden | null;
}

interface Index {
  /** What is hidden and has the same first characters as the text here, in order; undefined when nothing. */
  beginningWith(text: string, at: number): readonly Hidden[] | undefined;
}

function indexOf(texts: Iterable<string>): Index {
  const groups = Map.groupBy(texts, (text) => text.slice(0, LEAST_VALUE));
  const sorted = new Map<string, readonly Hidden[]>();
  // Few characters of a text begin anything: most are passed by their code and the next one alone.
  const begins = new Uint8Array(CODES);
  const codeAt = (text: string, at: number): number => (text.charCodeAt(at) * 31 + text.charCodeAt(at + 1)) % CODES;
  for (const first of groups.keys()) begins[codeAt(first, 0)] = 1;
  return {
    beginningWith(text, at) {
      if (begins[codeAt(text, at)] !== 1) return undefined;
      const first = text.slice(at, at + LEAST_VALUE);
      const group = groups.get(first);
      if (!group) return undefined;
      const known = sorted.get(first) ?? inOrder(group);
      sorted.set(first, known);
      return known;
    },
  };
}

function inOrder(group: readonly string[]): Hidden[] {
  let last: Hidden | null = null;
  return group.toSorted().map((value): Hidden => {
    let beginsWith = last;
    while (beginsWith && value.slice(0, beginsWith.value.length) !== beginsWith.value) beginsWith = beginsWith.beginsWith;
    return (last = { value, beginsWith });
  });
}

function tooMuch(): MaskBudgetError {
  return new MaskBudgetError('there is too much to mask');
}
