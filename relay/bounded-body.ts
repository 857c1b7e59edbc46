import { RelayError } from './relay-error.ts';

/** The bytes as they come, until there are more than any answer has. Throws RelayError then, which ends the call upstream. */
export async function* boundedBody(body: AsyncIterable<Uint8Array>, maxBytes: number): AsyncGenerator<Uint8Array> {
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.length;
    if (bytes > maxBytes) throw new RelayError(400, `The answer of the model is larger than ${maxBytes} bytes.`);
    yield chunk;
  }
}
