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

/**
 * Says in a sentence which of these limits a JSON text in UTF-8 exceeds; null when none. It takes a fraction of what
 * parsing takes, and no memory: a parsed value of many small parts takes thirty times the size of its text.
 */
export function jsonLimitProblem(bytes: Uint8Array, { depth, values }: JsonLimits): string | null {
  const endOfText = textEnds(bytes);
  let open = 0;
  let counted = 0;
  for (let at = 0; at < bytes.length; at += 1) {
    const byte = bytes[at];
    if (byte === QUOTE) at = endOfText(at);
    else if (byte === OPEN_LIST || byte === OPEN_OBJECT) {
      counted += 1;
      if ((open += 1) > depth) return `Must not be nested more than ${depth} levels deep.`;
    } else if (byte === CLOSE_LIST || byte === CLOSE_OBJECT) open -= 1;
    else if (byte === COMMA) counted += 1;
    if (counted > values) return `Must not have more than ${values} values in all.`;
  }
  return null;
}

/**
 * Finds where the text ends that begins at a quote. Texts may have megabytes: the next quote and the next backslash are looked
 * up natively once a text is long, and each of them again only when it is passed.
 */
function textEnds(bytes: Uint8Array): (from: number) => number {
  let [nextQuote, nextBackslash] = [-1, -1];
  const next = (known: number, byte: number, at: number): number => {
    if (known >= at) return known;
    const found = bytes.indexOf(byte, at);
    return found === -1 ? bytes.length : found;
  };
  return (from) => {
    let lookAfter = from + SHORT_TEXT;
    for (let at = from + 1; at < bytes.length; at += 1) {
      const byte = bytes[at];
      if (byte === BACKSLASH) at += 1;
      else if (byte === QUOTE) return at;
      else if (at > lookAfter) {
        nextQuote = next(nextQuote, QUOTE, at);
        nextBackslash = next(nextBackslash, BACKSLASH, at);
        at = Math.min(nextQuote, nextBackslash) - 1;
        lookAfter = at + SHORT_TEXT;
      }
    }
    return bytes.length;
  };
}
