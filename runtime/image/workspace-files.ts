import { pipeline } from 'node:stream/promises';
import type { Etags, ListOptions, ReadOptions } from '../driver-files.ts';
import { listFilesBelow } from '../host/list-files.ts';
import { readFileBelow } from '../host/read-file.ts';
import { removeFileBelow, writeFileBelow } from '../host/write-file.ts';

/**
 * Runs in a container of an instance, as its user: lists, reads, writes or removes files of one workspace. Its input is one line
 * with the request, and for a write the content in frames: the length in four bytes, then the bytes; a length of zero is the
 * end. Its output is one line with the answer, and for a read the bytes. The driver alone calls it
 * (runtime/inside/workspace-files.ts).
 */
type Request = { root: string; directory: string } & (
  | ({ kind: 'list' } & Omit<ListOptions, 'signal'>)
  | ({ kind: 'read'; path: string } & Omit<ReadOptions, 'signal'>)
  | { kind: 'write'; path: string; onlyIf: Etags | null; maxBytes: number }
  | { kind: 'remove'; path: string; withEmptyFolders?: boolean }
);

/** The input, a piece at a time. */
class Input {
  readonly #source = process.stdin[Symbol.asyncIterator]();
  #held = Buffer.alloc(0);

  async line(): Promise<string> {
    for (;;) {
      const end = this.#held.indexOf('\n');
      if (end >= 0) return this.#take(end + 1).toString('utf8');
      await this.#more();
    }
  }

  /** Fails when the input ends before its end was told. */
  async *frames(): AsyncGenerator<Buffer> {
    for (;;) {
      while (this.#held.length < 4) await this.#more();
      let left = this.#take(4).readUInt32BE();
      if (left === 0) return;
      while (left > 0) {
        if (this.#held.length === 0) await this.#more();
        const piece = this.#take(Math.min(left, this.#held.length));
        left -= piece.length;
        yield piece;
      }
    }
  }

  #take(length: number): Buffer {
    const taken = this.#held.subarray(0, length);
    this.#held = this.#held.subarray(length);
    return taken;
  }

  async #more(): Promise<void> {
    const next = await this.#source.next();
    if (next.done === true) throw new Error('The input ended too early.');
    this.#held = Buffer.concat([this.#held, next.value]);
  }
}

async function answer(request: Request, input: Input): Promise<void> {
  const { root } = request;
  switch (request.kind) {
    case 'list':
      return say({ kind: 'page', page: await listFilesBelow(root, request.directory, request) });
    case 'read': {
      const read = await readFileBelow(root, request, request);
      if (read.kind !== 'content') return say({ kind: 'read', read });
      const { content, ...rest } = read;
      say({ kind: 'read', read: rest });
      return pipeline(content, process.stdout, { end: false });
    }
    case 'write':
      return say({ kind: 'written', facts: await writeFileBelow(root, request, input.frames(), request) });
    case 'remove':
      return say({ kind: 'removed', removed: await removeFileBelow(root, request, request) });
  }
}

function say(value: object): void {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}

try {
  const input = new Input();
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- our own driver made it; whatever else comes fails below
  await answer(JSON.parse(await input.line()) as Request, input);
} catch (error) {
  const code = Error.isError(error) && 'code' in error ? String(error.code) : null;
  const [name, message] = Error.isError(error) ? [error.constructor.name, error.message] : ['Error', String(error)];
  say({ kind: 'failed', name, message, code });
}
process.exit();
