import { text } from 'node:stream/consumers';
import { UnsafePathError } from '../driver.ts';
import { putFilesBelow, removePathsBelow } from '../host/safe-files.ts';

/**
 * Runs in a container of an instance, as its user: reads one request from its input, puts or removes files below a
 * directory that agents write too, and answers in one line. The driver alone calls it (runtime/docker/instance-files.ts).
 */
interface Request {
  root: string;
  put?: { directory: string; files: [name: string, base64: string][] };
  remove?: string[];
}

try {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- our own driver made it; whatever else comes fails below
  const { root, put, remove } = JSON.parse(await text(process.stdin)) as Request;
  const files = put?.files.map(([name, base64]) => [name, Buffer.from(base64, 'base64')] as const);
  if (put) await putFilesBelow(root, put.directory, new Map(files));
  if (remove) await removePathsBelow(root, remove);
  answer({ kind: 'done' });
} catch (error) {
  const message = error instanceof Error ? error.message : String(error);
  const code = error instanceof Error && 'code' in error ? String(error.code) : null;
  answer({ kind: error instanceof UnsafePathError ? 'unsafe' : 'failed', message, code });
}

function answer(value: object): void {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}
