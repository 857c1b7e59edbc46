import { createLineScanner } from '../line-scanner.ts';
import { RelayError } from '../relay-error.ts';

/** An error event is short, and so is what comes before one. */
const MAX_HELD_BYTES = 64 * 1024;

/**
 * The same bytes, as soon as the answer has really begun: at the first event of a stream, at the first byte of an object.
 * Until then another provider can be asked. Throws RelayError when the stream begins with an error, or holds nothing.
 */
export async function begunBody(
  source: AsyncIterable<Uint8Array>,
  isStream: boolean,
  errorOf: (json: string) => RelayError | null,
): Promise<AsyncIterable<Uint8Array>> {
  const iterator = source[Symbol.asyncIterator]();
  const held: Uint8Array[] = [];
  const scanner = createLineScanner(MAX_HELD_BYTES);
  let bytes = 0;
  for (;;) {
    const next = await iterator.next();
    const lines = next.done === true ? [scanner.end()] : scanner.push(next.value).map(({ text }) => text);
    if (next.done !== true) held.push(next.value);
    const first = lines.find((line) => line.startsWith('data:'));
    const error = first === undefined || !isStream ? null : errorOf(first.slice('data:'.length));
    if (error) {
      await iterator.return?.();
      throw error;
    }
    if (next.done === true && held.length === 0) {
      throw new RelayError(502, 'The model provider sent an empty response. Try again in a moment.');
    }
    bytes += held.at(-1)?.length ?? 0;
    if (first !== undefined || !isStream || next.done === true || bytes > MAX_HELD_BYTES) return all(held, iterator);
  }
}

async function* all(held: Uint8Array[], iterator: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    while (held.length > 0) yield* held.splice(0, 1);
    for (;;) {
      const next = await iterator.next();
      if (next.done === true) return;
      yield next.value;
    }
  } finally {
    await iterator.return?.();
  }
}
