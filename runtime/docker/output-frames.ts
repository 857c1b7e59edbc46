import type { Readable } from 'node:stream';

const HEADER_BYTES = 8;

/**
 * The text in a container's output, which the engine sends in frames: a kind, the length, the bytes. Of a long one only
 * the end is kept.
 */
export async function textOfFrames(stream: Readable, { keepBytes }: { keepBytes: number }): Promise<string> {
  let pending = Buffer.alloc(0);
  let kept = Buffer.alloc(0);
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    pending = Buffer.concat([pending, chunk]);
    for (;;) {
      if (pending.length < HEADER_BYTES) break;
      const end = HEADER_BYTES + pending.readUInt32BE(4);
      if (pending.length < end) break;
      kept = Buffer.concat([kept, pending.subarray(HEADER_BYTES, end)]);
      pending = pending.subarray(end);
      if (kept.length > 2 * keepBytes) kept = kept.subarray(-keepBytes);
    }
  }
  return kept.subarray(-keepBytes).toString('utf8');
}
