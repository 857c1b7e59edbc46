const NEWLINE = 0x0a;

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
  let pending: Uint8Array[] = [];
  let pendingBytes = 0;

  const take = (tail: Uint8Array): string => {
    const tooLong = pendingBytes + tail.length > maxLineBytes;
    const text = tooLong ? '' : Buffer.concat([...pending, tail]).toString();
    pending = [];
    pendingBytes = 0;
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
      const rest = chunk.subarray(start);
      pendingBytes += rest.length;
      if (pendingBytes <= maxLineBytes) pending.push(rest);
      else pending = [];
      return lines;
    },
    /** The line that the end of the stream completes. */
    end: (): string => take(new Uint8Array()),
  };
}
