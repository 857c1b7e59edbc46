import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { UserError } from './io.ts';
import type { Io } from './io.ts';

const LARGEST_INPUT = 1024 * 1024;

/** Asks one question after the other. Without a terminal the answers are lines of the standard input. */
export interface Questions {
  ask(question: string): Promise<string>;
  close(): void;
}

/** Begins to ask. Throws UserError when the input ends without an answer. */
export function openQuestions({ stdin, stderr }: Io): Questions {
  const lines = createInterface({ input: stdin, terminal: false });
  const answers = lines[Symbol.asyncIterator]();
  return {
    async ask(question) {
      stderr.write(question);
      const next = await answers.next();
      if (next.done) throw new UserError('The input ended without an answer.');
      return next.value.trim();
    },
    close: () => lines.close(),
  };
}

/** A secret from the input: typed without being shown at a terminal, else the whole input without its last line break. */
export async function readSecret(io: Io, question: string): Promise<string> {
  const { stdin, stderr } = io;
  if (!stdin.isTTY) return (await readInput(io)).replace(/\r?\n$/, '');
  stderr.write(question);
  const silence = new Writable({ write: (_chunk, _encoding, done) => done() });
  const lines = createInterface({ input: stdin, output: silence, terminal: true });
  try {
    return await lines.question('');
  } finally {
    lines.close();
    stderr.write('\n');
  }
}

/** All of the input. Throws UserError when it is larger than what any call takes. */
export async function readInput({ stdin }: Io): Promise<string> {
  const given = await text(stdin);
  if (given.length > LARGEST_INPUT) throw new UserError(`The input has more than ${LARGEST_INPUT} characters.`);
  return given;
}
