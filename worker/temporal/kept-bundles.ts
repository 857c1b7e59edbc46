import { createHash } from 'node:crypto';
import { readdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';

/** The folders whose modules are in the bundle of the workflows. */
export const BUNDLED_FOLDERS = ['workflows', 'domain'];
/** The rest of it: the packages, and how it is made. */
const OTHER_SOURCES = ['package-lock.json', 'worker/temporal/temporal-workers.ts'];

/** Differs when the bundle of the workflows would: a digest over the names and texts of all its sources below this folder. */
export async function digestOfSources(root: string): Promise<string> {
  const sources = [...OTHER_SOURCES];
  for (const folder of BUNDLED_FOLDERS)
    for (const name of await readdir(join(root, folder), { recursive: true }))
      if (name.endsWith('.ts')) sources.push(join(folder, name));
  const digest = createHash('sha256');
  for (const source of sources.toSorted()) {
    const text = await readFile(join(root, source));
    digest.update(`${source} ${text.length}\n`).update(text);
  }
  return digest.digest('hex');
}

/** Removes all files of a folder but the newest. Another process may do the same meanwhile. */
export async function keepNewest(folder: string, count: number): Promise<void> {
  const files = await Promise.all(
    (await readdir(folder)).map(async (name) => {
      const file = join(folder, name);
      return { file, writtenMs: (await stat(file).catch(() => null))?.mtimeMs ?? 0 };
    }),
  );
  const old = files.toSorted((one, other) => other.writtenMs - one.writtenMs).slice(count);
  for (const { file } of old) await rm(file, { force: true });
}
