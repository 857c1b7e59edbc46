import { text } from 'node:stream/consumers';
import { UnsafePathError } from '../driver.ts';
import { putFilesBelow, removePathsBelow } from '../host/safe-files.ts';
import { replaceSkillTree } from '../host/skill-tree.ts';

/**
 * Runs in a container of an instance, as its user: reads one request from its input, puts or removes files below a
 * directory that agents write too, or replaces the skills that lie beside it, and answers in one line. The drivers alone call it
 * (runtime/inside/file-changes.ts).
 */
interface Request {
  root: string;
  put?: { directory: string; files: [name: string, base64: string][] };
  remove?: string[];
  skills?: [path: string, base64: string, executable: boolean][];
}

/** Where the claim of an instance is mounted as a whole; agents see its skills only, and cannot change them. */
const CLAIM = { root: '/claim', skillsDir: '/claim/skills', skillsMarkFile: '/claim/skills.sha256' };

try {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- our own driver made it; whatever else comes fails below
  const { root, put, remove, skills } = JSON.parse(await text(process.stdin)) as Request;
  const files = put?.files.map(([name, base64]) => [name, Buffer.from(base64, 'base64')] as const);
  if (put) await putFilesBelow(root, put.directory, new Map(files));
  if (remove) await removePathsBelow(root, remove);
  if (skills) await replaceSkillTree(CLAIM, new Map(skills.map(skillOf)), { isMounted: true });
  answer({ kind: 'done' });
} catch (error) {
  const message = Error.isError(error) ? error.message : String(error);
  const code = Error.isError(error) && 'code' in error ? String(error.code) : null;
  answer({ kind: error instanceof UnsafePathError ? 'unsafe' : 'failed', message, code });
}

function skillOf([path, base64, executable]: [string, string, boolean]) {
  return [path, { content: Buffer.from(base64, 'base64'), executable }] as const;
}

function answer(value: object): void {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}
