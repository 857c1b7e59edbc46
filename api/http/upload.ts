import { createHash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { AppError } from '../../domain/errors.ts';
import { ClientGoneError, tooLarge } from './request-body.ts';

/** A body of bytes, which is read once as it comes. */
export class Upload {
  readonly #request: IncomingMessage;
  readonly #limitBytes: number;
  readonly #hash = createHash('sha256');
  #digest: Buffer | null = null;
  #isBegun = false;
  #isLeft = false;

  constructor(request: IncomingMessage, limitBytes: number) {
    this.#request = request;
    this.#limitBytes = limitBytes;
  }

  /** Throws `payload_too_large` over the limit, and ClientGoneError when the body never arrives in full. */
  async *read(): AsyncGenerator<Buffer, void> {
    // It was read for a record that is gone by now.
    if (this.#isBegun) throw new AppError('unavailable', 'The body must be sent once more. Try again.', { retryAfterSeconds: 1 });
    this.#isBegun = true;
    let size = 0;
    // The connection is still needed for the answer.
    const chunks: AsyncIterable<Buffer> = this.#request.iterator({ destroyOnReturn: false });
    try {
      for await (const chunk of chunks) {
        size += chunk.length;
        if (size > this.#limitBytes) throw tooLarge(this.#limitBytes);
        this.#hash.update(chunk);
        yield chunk;
      }
    } catch (error) {
      throw this.#request.destroyed ? new ClientGoneError('the client went away') : error;
    } finally {
      // Its reader may be given up only now, in the middle of a body.
      if (this.#isLeft) this.discard();
    }
    this.#digest = this.#hash.digest();
  }

  /** Reads the body for nothing but its digest. */
  async skim(): Promise<void> {
    const chunks = this.read();
    while (!(await chunks.next()).done);
  }

  /** Whether all of it was read. */
  isRead(): boolean {
    return this.#digest !== null;
  }

  /** What tells this body from any other, once all of it was read. */
  digest(): Buffer {
    if (!this.#digest) throw new Error('The body was not read to its end');
    return this.#digest;
  }

  /** Lets the rest of a body pass that is not read any further, so that its client comes to read the answer. */
  discard(): void {
    this.#isLeft = true;
    setImmediate(() => this.#request.resume());
  }
}
