import type { Readable } from 'node:stream';

const HEADER_BYTES = 8;
/** The kind of what a container prints on its standard output. */
export const STDOUT = 1;
const STDERR = 2;

/**
 * The text in a container's output, which the engine sends in frames: a kind, the length, the bytes. Of a long one only
 * the end is kept. How what it prints on its two outputs is mixed is the engine's choice.
 */
export async function textOfFrames(stream: Readable, { keepBytes }: { keepBytes: number }): Promise<string> {
  const text = new Tail(keepBytes);
  for await (const { bytes } of framesIn(stream)) text.add(bytes);
  return text.toString();
}

/** The same, each output for itself. */
export async function outputsOf(
  stream: Readable,
  { keepBytes }: { keepBytes: number },
): Promise<{ stdout: string; stderr: string }> {
  const [stdout, stderr] = [new Tail(keepBytes), new Tail(keepBytes)];
  for await (const { kind, bytes } of framesIn(stream)) (kind === STDERR ? stderr : stdout).add(bytes);
  return { stdout: stdout.toString(), stderr: stderr.toString() };
}

/** What a container prints, piece by piece. */
export async function* framesIn(stream: Readable): AsyncGenerator<{ kind: number | undefined; bytes: Buffer }> {
  let pending = Buffer.alloc(0);
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    pending = Buffer.concat([pending, chunk]);
    for (;;) {
      if (pending.length < HEADER_BYTES) break;
      const end = HEADER_BYTES + pending.readUInt32BE(4);
      if (pending.length < end) break;
      yield { kind: pending[0], bytes: pending.subarray(HEADER_BYTES, end) };
      pending = pending.subarray(end);
    }
  }
}

class Tail {
  readonly #keepBytes: number;
  #kept = Buffer.alloc(0);

  constructor(keepBytes: number) {
    this.#keepBytes = keepBytes;
  }

  add(bytes: Buffer): void {
    this.#kept = Buffer.concat([this.#kept, bytes]);
    if (this.#kept.length > 2 * this.#keepBytes) this.#kept = this.#kept.subarray(-this.#keepBytes);
  }

  toString(): string {
    return this.#kept.subarray(-this.#keepBytes).toString('utf8');
  }
}
