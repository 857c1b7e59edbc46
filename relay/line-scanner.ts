const LF = 0x0a;
const CR = 0x0d;
const FIRST_BYTES = 1_024;
/** A buffer that a long line has made larger is not kept for the next one. */
const KEPT_BYTES = 64 * 1_024;

export interface ScannedLine {
  text: string;
  /** Where in the chunk that completed it the line begins; 0 when it began in an earlier chunk. */
  startsAt: number;
}

/**
 * Finds the lines of an event stream, wherever it is cut into chunks: a line ends with LF, CR or both. The text of a line
 * that is longer than maxLineBytes is dropped (it reads as empty), so that memory stays bounded.
 */
export function createLineScanner(maxLineBytes: number) {
  const pending = createPendingBytes(maxLineBytes);
  /** A CR ends its line at once; the LF after it, in the next chunk perhaps, belongs to it. */
  let afterCr = false;
  let isFirst = true;

  const take = (tail: Uint8Array): string => {
    pending.add(tail);
    const text = pending.take();
    const isMarked = isFirst && text.startsWith('\uFEFF');
    isFirst = false;
    return isMarked ? text.slice(1) : text;
  };
  return {
    /** The lines that this chunk completes. */
    push(chunk: Uint8Array): ScannedLine[] {
      if (chunk.length === 0) return [];
      const lines: ScannedLine[] = [];
      const lineFeed = finderOf(chunk, LF);
      const carriageReturn = finderOf(chunk, CR);
      let start = afterCr && chunk[0] === LF ? 1 : 0;
      for (;;) {
        const end = Math.min(lineFeed(start), carriageReturn(start));
        if (end === Number.POSITIVE_INFINITY) break;
        lines.push({ text: take(chunk.subarray(start, end)), startsAt: start });
        start = chunk[end] === CR && chunk[end + 1] === LF ? end + 2 : end + 1;
      }
      pending.add(chunk.subarray(start));
      afterCr = chunk.at(-1) === CR;
      return lines;
    },
    /** The line that the end of the stream completes. */
    end: (): string => take(new Uint8Array()),
  };
}

/** Where the byte is next, from a place that only moves on; infinity when it is not. A chunk is searched once for each byte. */
function finderOf(chunk: Uint8Array, byte: number): (from: number) => number {
  let found = -1;
  return (from) => {
    if (found < from) {
      const index = chunk.indexOf(byte, from);
      found = index < 0 ? Number.POSITIVE_INFINITY : index;
    }
    return found;
  };
}

/**
 * What is known of a line so far, copied into one buffer: a piece that was kept would keep the whole chunk that it is a
 * part of, and a line may come in a million pieces.
 */
function createPendingBytes(maxBytes: number) {
  let buffer = Buffer.alloc(0);
  let length = 0;
  return {
    add(piece: Uint8Array): void {
      const end = length + piece.length;
      if (end > buffer.length && end <= maxBytes) {
        const grown = Buffer.allocUnsafeSlow(Math.min(Math.max(2 * buffer.length, end, FIRST_BYTES), maxBytes));
        buffer.copy(grown, 0, 0, length);
        buffer = grown;
      }
      if (end <= maxBytes) buffer.set(piece, length);
      length = end;
    },
    /** The text; none when it was too long. */
    take(): string {
      const text = length > maxBytes ? '' : buffer.toString('utf8', 0, length);
      if (buffer.length > KEPT_BYTES) buffer = Buffer.alloc(0);
      length = 0;
      return text;
    },
  };
}
