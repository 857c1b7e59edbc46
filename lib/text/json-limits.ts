/** How much structure a JSON text may have. */
export interface JsonLimits {
  /** Objects and lists within each other. */
  depth: number;
  /** Values in all: the entries of all lists, the fields of all objects. */
  values: number;
}

/** What is shorter is read byte by byte sooner than it is searched. */
const SHORT_TEXT = 64;
const [QUOTE, BACKSLASH, COMMA] = [0x22, 0x5c, 0x2c];
const [OPEN_LIST, CLOSE_LIST, OPEN_OBJECT, CLOSE_OBJECT] = [0x5b, 0x5d, 0x7b, 0x7d];

/** How much is read at once of what is read in parts: less than a millisecond. */
const BYTES_OF_A_PART = 64 * 1024;

/**
 * Says in a sentence which of these limits a JSON text in UTF-8 exceeds; null when none. It takes a fraction of what
 * parsing takes, and no memory: a parsed value of many small parts takes thirty times the size of its text.
 */
export function jsonLimitProblem(bytes: Uint8Array, limits: JsonLimits): string | null {
  return createMeasure(bytes, limits)(bytes.length);
}

/** The same as work that `inSlices` can carry out: texts of megabytes that are full of escapes take longer than to parse them. */
export function* jsonLimitParts(bytes: Uint8Array, limits: JsonLimits): Generator<undefined, string | null, undefined> {
  const measureTo = createMeasure(bytes, limits);
  for (let end = BYTES_OF_A_PART; end < bytes.length; end += BYTES_OF_A_PART) {
    const problem = measureTo(end);
    if (problem !== null) return problem;
    yield;
  }
  return measureTo(bytes.length);
}

/** Reads on with each call, as far as it is told, and says what the text exceeds so far. */
function createMeasure(bytes: Uint8Array, { depth, values }: JsonLimits): (end: number) => string | null {
  const passText = createTextReader(bytes);
  let [at, open, counted, isInText] = [0, 0, 0, false];
  return (end) => {
    while (at < end) {
      if (isInText) {
        at = passText(at, end);
        if (at >= end) break;
        isInText = false;
        at += 1;
        continue;
      }
      const byte = bytes[at];
      at += 1;
      if (byte === QUOTE) isInText = true;
      else if (byte === OPEN_LIST || byte === OPEN_OBJECT) {
        counted += 1;
        if ((open += 1) > depth) return `Must not be nested more than ${depth} levels deep.`;
      } else if (byte === CLOSE_LIST || byte === CLOSE_OBJECT) open -= 1;
      else if (byte === COMMA) counted += 1;
      if (counted > values) return `Must not have more than ${values} values in all.`;
    }
    return null;
  };
}

/**
 * Goes from within a text to the quote that ends it, or, where that comes later, to the given end or what is looked up beyond
 * it. Texts may have megabytes: the next quote and the next backslash are looked up natively once a text is long, and each of
 * them again only when it is passed.
 */
function createTextReader(bytes: Uint8Array): (from: number, end: number) => number {
  let [nextQuote, nextBackslash] = [-1, -1];
  const next = (known: number, byte: number, at: number): number => {
    if (known >= at) return known;
    const found = bytes.indexOf(byte, at);
    return found === -1 ? bytes.length : found;
  };
  return (from, end) => {
    let at = from;
    let lookAfter = at + SHORT_TEXT;
    while (at < end) {
      const byte = bytes[at];
      if (byte === QUOTE) return at;
      if (byte === BACKSLASH) at += 2;
      else if (at > lookAfter) {
        nextQuote = next(nextQuote, QUOTE, at);
        nextBackslash = next(nextBackslash, BACKSLASH, at);
        at = Math.min(nextQuote, nextBackslash);
        lookAfter = at + SHORT_TEXT;
      } else at += 1;
    }
    return at;
  };
}
