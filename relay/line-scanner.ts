const NEWLINE = 0x0a;
const FIRST_BYTES = 1_024;
/** A buffer that a long line has made larger is not kept for the next one. */
const KEPT_BYTES = 64 * 1_024;

export interface ScannedLine {
  text: string;
  /** Where in the chunk that completed it the line begins; 0 when it began in an earlier chunk. */
  startsAt: number;
}

/**
 * Finds the lines of a byte stream, wherever it is cut into chunks. The text of a line that is longer than
 * maxLineBytes is dropped (it reads as empty), so that memory stays bounded.
 */
export function createLineScanner(maxLineBytes: number) {
  const pending = createPendingBytes(maxLineBytes);

  const take = (tail: Uint8Array): string => {
    pending.add(tail);
    const text = pending.take();
    return text.endsWith('\r') ? text.slice(0, -1) : text;
  };
  return {
    /** The lines that this chunk completes. */
    push(chunk: Uint8Array): ScannedLine[] {
      const lines: ScannedLine[] = [];
      let start = 0;
      for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
        lines.push({ text: take(chunk.subarray(start, end)), startsAt: start });
        start = end + 1;
      }
      pending.add(chunk.subarray(start));
      return lines;
    },
    /** The line that the end of the stream completes. */
    end: (): string => take(new Uint8Array()),
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
