import { utf8Length } from './file-path.ts';

export const MAX_FILES = 64;
export const MAX_FILE_BYTES = 256 * 1024;
export const MAX_FILES_BYTES = 1024 * 1024;

/** How much of an agent's workspace is shown, and kept when its instance stops. */
export const SHOWN_FILES = { maxFiles: 2 * MAX_FILES, maxFileBytes: MAX_FILE_BYTES, maxBytes: 2 * MAX_FILES_BYTES };

interface Problem {
  path: string;
  message: string;
}

/** What is wrong with these files as the whole workspace of an agent: their number, their sizes, a file in a folder's place. */
export function workspaceProblems(files: ReadonlyMap<string, string>): Problem[] {
  const problems: Problem[] = [];
  if (files.size > MAX_FILES) problems.push({ path: 'files', message: `An agent can have at most ${MAX_FILES} files.` });
  let total = 0;
  for (const [path, content] of files) {
    const bytes = utf8Length(content);
    total += bytes;
    if (bytes > MAX_FILE_BYTES)
      problems.push({ path: `files.${path}`, message: `A file can have at most ${MAX_FILE_BYTES} bytes.` });
    const folder = foldersOf(path).find((name) => files.has(name));
    if (folder !== undefined)
      problems.push({ path: `files.${path}`, message: `${folder} is a file, so it cannot be a folder too.` });
  }
  if (total > MAX_FILES_BYTES)
    problems.push({ path: 'files', message: `The files of an agent can have at most ${MAX_FILES_BYTES} bytes in total.` });
  return problems;
}

/** `a` and `a/b` of `a/b/c.md`. */
function foldersOf(path: string): string[] {
  const segments = path.split('/').slice(0, -1);
  return segments.map((_segment, index) => segments.slice(0, index + 1).join('/'));
}
