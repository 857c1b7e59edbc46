import { createHash, randomUUID } from 'node:crypto';
import { lstat, mkdir, readFile, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { isErrno } from '../../lib/errno.ts';
import type { SkillFile } from '../driver.ts';
import { replaceFile } from './replace-file.ts';
import type { RuntimeLayout } from './runtime-layout.ts';
import { partsOf } from './open-directory.ts';

/** Where the skills of a runtime lie, in a folder that holds what is on its way in or out as well. */
type SkillPlace = Pick<RuntimeLayout, 'root' | 'skillsDir' | 'skillsMarkFile'>;

/** How the names of trees begin that are on their way in or out. They lie beside the state, out of sight of agents. */
const BESIDE = '.skills-';

/**
 * Puts this tree in the place of the skills of a runtime: a new one is written beside it and takes its place by a
 * rename, so that a skill is seen whole or not at all. Whatever agents put there goes. Nothing is done when the tree
 * that was put there last is the same. With `isMounted` the directory itself stays, which a container has by its inode, and
 * the skills in it change places one by one.
 */
export async function replaceSkillTree(
  layout: SkillPlace,
  files: ReadonlyMap<string, SkillFile>,
  { isMounted = false }: { isMounted?: boolean } = {},
): Promise<void> {
  const fingerprint = fingerprintOf(files);
  await removeBeside(layout);
  if ((await isDirectory(layout.skillsDir)) && (await textOf(layout.skillsMarkFile)) === fingerprint) return;
  // Without its mark a tree that is being replaced counts as none.
  await rm(layout.skillsMarkFile, { force: true });
  const [fresh, old] = [beside(layout), beside(layout)];
  await writeTree(fresh, files);
  if (isMounted) await exchangeEntries(layout, { fresh, old });
  else await exchangeWhole(layout, { fresh, old });
  await replaceFile(layout.skillsMarkFile, fingerprint, 0o600);
  await removeBeside(layout);
}

interface Trees {
  fresh: string;
  old: string;
}

async function exchangeWhole({ skillsDir }: SkillPlace, { fresh, old }: Trees): Promise<void> {
  await rename(skillsDir, old).catch((error: unknown) => {
    if (!isErrno(error, 'ENOENT')) throw error;
  });
  await rename(fresh, skillsDir);
}

async function exchangeEntries({ skillsDir }: SkillPlace, { fresh, old }: Trees): Promise<void> {
  await mkdir(skillsDir, { recursive: true, mode: 0o755 });
  await mkdir(old);
  const news = await readdir(fresh);
  const olds = await readdir(skillsDir);
  for (const name of olds) if (!news.includes(name)) await rename(join(skillsDir, name), join(old, name));
  for (const name of news) {
    if (olds.includes(name)) await rename(join(skillsDir, name), join(old, name));
    await rename(join(fresh, name), join(skillsDir, name));
  }
}

function beside({ root }: SkillPlace): string {
  return join(root, `${BESIDE}${randomUUID()}`);
}

/** What an attempt left that was killed, and the tree before. */
async function removeBeside({ root }: SkillPlace): Promise<void> {
  for (const name of await readdir(root))
    if (name.startsWith(BESIDE)) await rm(join(root, name), { recursive: true, force: true });
}

async function writeTree(root: string, files: ReadonlyMap<string, SkillFile>): Promise<void> {
  await mkdir(root, { mode: 0o755 });
  for (const [path, { content, executable }] of files) {
    const file = join(root, ...partsOf(path));
    await mkdir(dirname(file), { recursive: true, mode: 0o755 });
    await writeFile(file, content, { mode: executable ? 0o755 : 0o644, flag: 'wx' });
  }
}

/** The same for the same skills. */
export function fingerprintOf(files: ReadonlyMap<string, SkillFile>): string {
  const hash = createHash('sha256');
  for (const [path, { content, executable }] of [...files].toSorted(([a], [b]) => (a < b ? -1 : 1)))
    hash.update(JSON.stringify([path, executable, content.length])).update(content);
  return hash.digest('hex');
}

/** A link that agents put there is none. */
async function isDirectory(path: string): Promise<boolean> {
  try {
    return (await lstat(path)).isDirectory();
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return false;
    throw error;
  }
}

async function textOf(file: string): Promise<string | null> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return null;
    throw error;
  }
}
