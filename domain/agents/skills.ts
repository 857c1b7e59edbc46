import { filePathProblem, utf8Length } from './file-path.ts';

export const MAX_SKILLS = 64;
export const MAX_SKILL_FILES = 256;
export const MAX_SKILL_BYTES = 5 * 1024 * 1024;
/** A longer one is passed over by OpenClaw, which adds its own front matter to what is counted. */
export const MAX_SKILL_MANIFEST_BYTES = 240 * 1024;
export const SKILL_MANIFEST = 'SKILL.md';

export const SKILL_NAME = /^[a-z0-9]+(?:-[a-z0-9]+)*$/;
export const MAX_SKILL_NAME_LENGTH = 64;
/** Under which a gateway keeps the settings of a skill: the key of an object in its configuration. */
export const SKILL_KEY = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

interface Problem {
  path: string;
  message: string;
}

/** What is wrong with these files as a skill: their names, number and sizes, and names that some disks take for the same. */
export function skillFilesProblems(files: Readonly<Record<string, string>>): Problem[] {
  const paths = Object.keys(files);
  if (paths.length > MAX_SKILL_FILES) return [{ path: 'files', message: `A skill can have at most ${MAX_SKILL_FILES} files.` }];
  const problems: Problem[] = [];
  for (const path of paths) {
    const message = filePathProblem(path);
    if (message !== null) problems.push({ path: `files.${path}`, message });
  }
  if (problems.length > 0) return problems;
  problems.push(...clashes(paths));
  const manifest = files[SKILL_MANIFEST];
  if (manifest === undefined) problems.push({ path: 'files', message: `A custom skill needs a file ${SKILL_MANIFEST}.` });
  else if (utf8Length(manifest) > MAX_SKILL_MANIFEST_BYTES)
    problems.push({
      path: `files.${SKILL_MANIFEST}`,
      message: `Must have at most ${MAX_SKILL_MANIFEST_BYTES} bytes. Move parts of it into other files.`,
    });
  const total = Object.values(files).reduce((bytes, content) => bytes + utf8Length(content), 0);
  if (total > MAX_SKILL_BYTES)
    problems.push({ path: 'files', message: `The files of a skill can have at most ${MAX_SKILL_BYTES} bytes in total.` });
  return problems;
}

/** Every name, of files and of folders, may stand for one thing only, whatever its letters' case or form. */
function clashes(paths: readonly string[]): Problem[] {
  const problems: Problem[] = [];
  const taken = new Map<string, string>();
  for (const path of paths) {
    const segments = path.split('/');
    for (const [index] of segments.entries()) {
      const isFile = index === segments.length - 1;
      const name = segments.slice(0, index + 1).join('/');
      const meant = `${isFile ? 'file' : 'folder'} ${name}`;
      const folded = name.normalize('NFC').toLowerCase();
      const other = taken.get(folded);
      taken.set(folded, other ?? meant);
      if (other === undefined || (other === meant && !isFile)) continue;
      problems.push({
        path: `files.${path}`,
        message: `The ${meant} and the ${other} have the same name on some file systems. Rename one of them.`,
      });
      break;
    }
  }
  return problems;
}

/** Whether a file of a skill is to be run: it lies in its `scripts` folder or says what runs it. */
export function isSkillScript(path: string, content: string): boolean {
  return path.startsWith('scripts/') || content.startsWith('#!');
}
