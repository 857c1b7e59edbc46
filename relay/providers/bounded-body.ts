import { RelayError } from '../relay-error.ts';

/**
 * The bytes as they come, until there are more than any answer has. Throws RelayError then, which ends the call upstream,
 * and when the provider breaks off.
 */
export async function* boundedBody(body: AsyncIterable<Uint8Array>, maxBytes: number): AsyncGenerator<Uint8Array> {
  let bytes = 0;
  for await (const chunk of brokenOff(body)) {
    bytes += chunk.length;
    if (bytes > maxBytes) throw new RelayError(400, `The answer of the model is larger than ${maxBytes} bytes.`);
    yield chunk;
  }
}

async function* brokenOff(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    yield* body;
  } catch (cause) {
    if (cause instanceof RelayError) throw cause;
    throw endedTooEarly(cause);
  }
}

/** An answer that its provider broke off. */
export function endedTooEarly(cause?: unknown): RelayError {
  return new RelayError(502, 'The model provider ended its response too early. Try again in a moment.', { cause });
}
