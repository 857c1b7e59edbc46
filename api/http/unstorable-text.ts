import type { ErrorDetail } from '../../domain/errors.ts';

/** Says in a sentence which character keeps this text from being stored as it is; null when none does. */
export function unstorableProblem(text: string): string | null {
  // PostgreSQL's text cannot hold NUL, and nothing that is written as UTF-8 can hold half of a pair.
  if (text.includes('\0')) return 'Leave out the character NUL (\\u0000).';
  return text.isWellFormed() ? null : 'Leave out the unpaired surrogate: it is half of a character, such as \\ud83d.';
}

/** The first text of a JSON value, or name of a field in it, that cannot be stored as it is; null when there is none. */
export function findUnstorable(root: unknown): ErrorDetail | null {
  const pending: [path: string, value: unknown][] = [['', root]];
  for (let next = pending.pop(); next; next = pending.pop()) {
    const [path, value] = next;
    const problem = typeof value === 'string' ? unstorableProblem(value) : null;
    if (problem !== null) return { path: shown(path), message: problem };
    if (typeof value !== 'object' || value === null) continue;
    const entries = Object.entries(value);
    for (const [name] of entries) {
      const problemOfName = unstorableProblem(name);
      if (problemOfName !== null) return { path: shown(path), message: problemOfName };
    }
    // One by one: a spread of a hostile list would overflow the stack, and so would recursion into a deep one.
    for (const [name, entry] of entries.toReversed()) pending.push([path === '' ? name : `${path}.${name}`, entry]);
  }
  return null;
}

function shown(path: string): string {
  return path === '' ? 'body' : path;
}
