import { once } from 'node:events';
import { Readable } from 'node:stream';
import type { Writable } from 'node:stream';
import { z } from 'zod';
import { jsonOrNull } from '../../lib/text/json-or-null.ts';
import { InstanceDiskFullError } from '../driver.ts';
import { FileChangedError, NoStorageError } from '../driver-files.ts';
import type { FileRead, RuntimeFiles, WorkspacePlace } from '../driver-files.ts';
import { errorOf, fileFacts, filesPage, readHead } from '../files-protocol.ts';
import { gatewayPathsOf } from '../host/runtime-layout.ts';
import { STATE_DIR } from '../docker/in-container.ts';
import type { OpenProgram } from './open-program.ts';

/** Starts the program of runtime/image/workspace-files.ts where the instance has its files; null: the runtime has no storage. */
export type OpenFiles = (runtimeId: string, signal: AbortSignal) => Promise<OpenedFiles | null>;

export interface OpenedFiles {
  program: OpenProgram;
  /** Whether the instance has a disk of its own, so that no other instance runs out of space with it. */
  isDisk: boolean;
}

/** Of a page of files with the longest paths. */
const MAX_LINE_BYTES = 4 * 1024 ** 2;

const answers = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('page'), page: filesPage }),
  z.object({ kind: z.literal('read'), read: readHead }),
  z.object({ kind: z.literal('written'), facts: fileFacts }),
  z.object({ kind: z.literal('removed'), removed: z.boolean() }),
  z.object({ kind: z.literal('failed'), name: z.string(), message: z.string(), code: z.string().nullable() }),
]);
type Answer = z.infer<typeof answers>;

/**
 * The workspaces of gateways that run in containers, each call by a program in a container that has the instance's storage and user and
 * nothing else: so it works whether a gateway runs or not, and a link leads to nothing that the instance does not have.
 */
export function createWorkspaceFiles(openFiles: OpenFiles): RuntimeFiles {
  /** Null: there is no storage. */
  async function open({ runtimeId, gatewayAgentId }: WorkspacePlace, request: object, signal: AbortSignal) {
    const opened = await openFiles(runtimeId, signal);
    const directory = gatewayPathsOf({ stateDir: STATE_DIR }).workspaceOf(gatewayAgentId);
    opened?.program.input.write(`${JSON.stringify({ root: STATE_DIR, directory, ...request })}\n`);
    return opened;
  }

  /** A request whose answer is one line. */
  async function ask<K extends Answer['kind']>(place: WorkspacePlace, request: object, kind: K, options: AskOptions) {
    const opened = await open(place, request, options.signal);
    if (!opened) return null;
    const { program, isDisk } = opened;
    try {
      const sending = options.content && sendFrames(program.input, options.content);
      const [{ answer }] = await Promise.all([readAnswer(program, kind, isDisk), sending]);
      return answer;
    } finally {
      await program.close();
    }
  }

  async function read(place: WorkspacePlace, request: object, signal: AbortSignal): Promise<FileRead> {
    const opened = await open(place, request, signal);
    if (!opened) return { kind: 'none' };
    const { program, isDisk } = opened;
    try {
      const { answer, rest } = await readAnswer(program, 'read', isDisk);
      if (answer.read.kind === 'content')
        return { ...answer.read, content: contentOf(program, { rest, bytes: answer.read.bytes }) };
      await program.close();
      return answer.read;
    } catch (error) {
      await program.close();
      throw error;
    }
  }

  return {
    async list(place, { signal, ...wanted }) {
      const answer = await ask(place, { kind: 'list', ...wanted }, 'page', { signal });
      return answer?.page ?? { files: [], next: null };
    },
    read: (place, path, { signal, ...wanted }) => read(place, { kind: 'read', path, ...wanted }, signal),
    async write(place, path, content, { signal, ...wanted }) {
      const answer = await ask(place, { kind: 'write', path, ...wanted }, 'written', { signal, content });
      if (!answer) throw new NoStorageError('Nothing is stored of this instance.');
      return answer.facts;
    },
    async remove(place, path, { signal, ...wanted }) {
      return (await ask(place, { kind: 'remove', path, ...wanted }, 'removed', { signal }))?.removed ?? false;
    },
  };
}

interface AskOptions {
  signal: AbortSignal;
  content?: AsyncIterable<Buffer>;
}

/** The first line of what it prints, and what has come behind it. Throws what it says went wrong. */
async function readAnswer<K extends Answer['kind']>({ output }: OpenProgram, kind: K, isDisk: boolean) {
  let text = Buffer.alloc(0);
  for (let end = -1; end < 0; end = text.indexOf('\n')) {
    const next = await output.next();
    if (next.done || text.length > MAX_LINE_BYTES) throw new Error('The files of an instance could not be reached.');
    text = Buffer.concat([text, next.value]);
  }
  const end = text.indexOf('\n');
  const answer = answers.parse(jsonOrNull(text.toString('utf8', 0, end)));
  if (answer.kind === 'failed') throw failed(answer, isDisk);
  if (!isOf(answer, kind)) throw new Error(`The files of an instance answered ${answer.kind}.`);
  return { answer, rest: text.subarray(end + 1) };
}

function isOf<K extends Answer['kind']>(answer: Answer, kind: K): answer is Extract<Answer, { kind: K }> {
  return answer.kind === kind;
}

function failed({ name, message, code }: Extract<Answer, { kind: 'failed' }>, isDisk: boolean): Error {
  if (code === 'ENOSPC' && isDisk) return new InstanceDiskFullError(message);
  return Object.assign(errorOf({ name, message }), { code });
}

/** Each piece behind its length, and a length of zero when all of it was sent. */
async function sendFrames(input: Writable, content: AsyncIterable<Buffer>): Promise<void> {
  try {
    for await (const piece of content) {
      const length = Buffer.alloc(4);
      length.writeUInt32BE(piece.length);
      if (piece.length === 0) continue;
      input.write(length);
      if (!input.write(piece)) await Promise.race([once(input, 'drain'), once(input, 'close')]);
      // It has refused the rest: what it says of that counts.
      if (input.destroyed) return;
    }
    input.end(Buffer.alloc(4));
  } catch (error) {
    input.destroy();
    throw error;
  }
}

/** The bytes behind the answer. Fewer than were announced are a failure: the file was changed. */
function contentOf(program: OpenProgram, { rest, bytes }: { rest: Buffer; bytes: number }): Readable {
  let left = bytes;
  let held: Buffer | null = rest;
  async function next(): Promise<Buffer | null> {
    if (left === 0) return null;
    const piece = held && held.length > 0 ? held : (await program.output.next()).value;
    held = null;
    if (!piece) throw new FileChangedError('The file was changed while it was read.');
    left -= piece.length;
    return piece;
  }
  return new Readable({
    read() {
      next().then(
        (piece) => this.push(piece),
        (error: Error) => this.destroy(error),
      );
    },
    destroy(error, done) {
      program.close().then(
        () => done(error),
        (closing: Error) => done(error ?? closing),
      );
    },
  });
}
