import { once } from 'node:events';
import type { OpenProgram } from './inside/open-program.ts';

// The state of an instance as it is copied from one driver to another: a tar archive without owners, and an end that only a
// whole one has. Links, modes and times are kept; what is not is made anew by each driver: temporary files and our skills.

const END_LINE = '-- the state is whole --';
const END = Buffer.from(`\n${END_LINE}\n`);
const DONE = 'done';
/** Which attempt fills a directory. */
const MARK = '.state-epoch';

const READ = `tar -cf - -C "$1" --exclude ./tmp --exclude ./skills --exclude ./lost+found --exclude ./${MARK} . 2>/dev/null && printf '\\n%s\\n' '${END_LINE}'`;

/**
 * A later attempt ends what an earlier one still does here. What the driver and the file system have there stays, and a folder that its owner
 * may not change goes like any other. No program that agents left gets more rights than it had.
 */
const REPLACE = `set -e
mkdir -p "$1"
mark="$1/${MARK}"
[ "$(cat "$mark" 2>/dev/null || echo 0)" -le "$2" ]
echo "$2" > "$mark"
chmod -R u+rwX "$1" 2>/dev/null || :
find "$1" -mindepth 1 -maxdepth 1 ! -name skills ! -name lost+found ! -name ${MARK} -exec rm -rf {} +
tar -xpf - -o -C "$1"
find "$1" -type f -perm /6000 -exec chmod ug-s {} + 2>/dev/null || [ "$(id -u)" != 0 ]
[ "$(cat "$mark")" = "$2" ]
rm "$mark"
echo ${DONE}`;

/** Names the programs, so that a Pod which waits for their end finds them. */
const NAME = 'runtime/image/state-archive';

/** Prints the state in this directory. */
export function readStateCommand(directory: string): [string, ...string[]] {
  return ['/bin/sh', '-c', READ, NAME, directory];
}

/** Makes what it reads the state in this directory, in place of all that is there, unless a later attempt does so. */
export function replaceStateCommand(directory: string, epoch: number): [string, ...string[]] {
  return ['/bin/sh', '-c', REPLACE, NAME, directory, String(epoch)];
}

/** The archive of a state was cut off, has no end, or is larger than allowed. */
export class StateArchiveError extends Error {}

/** The tar archive, without its end. Throws StateArchiveError when that is missing, after the last piece, or when it is too large. */
export async function* wholeArchive(
  pieces: AsyncIterable<Buffer>,
  { maxBytes }: { maxBytes: number },
): AsyncGenerator<Buffer, void> {
  let held = Buffer.alloc(0);
  let bytes = 0;
  for await (const piece of pieces) {
    bytes += piece.length;
    if (bytes > maxBytes) throw new StateArchiveError(`The state is larger than ${maxBytes} bytes.`);
    const all = Buffer.concat([held, piece]);
    const sure = Math.max(0, all.length - END.length);
    if (sure > 0) yield all.subarray(0, sure);
    held = all.subarray(sure);
  }
  if (!held.equals(END)) throw new StateArchiveError('The state was not read to its end.');
}

/** What a program with readStateCommand prints. */
export async function* readArchive(program: OpenProgram): AsyncGenerator<Buffer, void> {
  try {
    yield* program.output;
  } finally {
    await program.close();
  }
}

/** Gives a program with replaceStateCommand this archive. Throws what the archive throws, and StateArchiveError when the program fails. */
export async function fillFrom(archive: AsyncIterable<Buffer>, program: OpenProgram): Promise<void> {
  try {
    const [sent, said] = await Promise.allSettled([send(archive, program), lastWordOf(program)]);
    if (sent.status === 'rejected') throw sent.reason;
    if (said.status === 'rejected') throw said.reason;
    if (said.value !== DONE)
      throw new StateArchiveError('The state could not be stored: the disk may be full, or a later attempt stores it.');
  } finally {
    await program.close();
  }
}

async function send(archive: AsyncIterable<Buffer>, { input, close }: OpenProgram): Promise<void> {
  let isClosed = false;
  input.on('error', () => undefined);
  input.once('close', () => (isClosed = true));
  try {
    for await (const piece of archive) {
      // What it says of that counts.
      if (isClosed || input.destroyed) return;
      if (!input.write(piece)) await drained(input);
    }
    input.end();
  } catch (error) {
    // Without its end, so that what is half there is never taken for the whole.
    await close();
    throw error;
  }
}

/** Waits until it takes more, or takes nothing any more. */
async function drained(input: OpenProgram['input']): Promise<void> {
  const heard = new AbortController();
  const of = { signal: heard.signal };
  await Promise.race([once(input, 'drain', of), once(input, 'close', of)]);
  heard.abort();
}

async function lastWordOf({ output }: OpenProgram): Promise<string> {
  let text = '';
  for await (const piece of output) text = `${text}${piece.toString()}`.slice(-64);
  return text.trimEnd().split('\n').at(-1) ?? '';
}
