import { open, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';

/** A backup of this installation that is complete. */
export interface BackupFile {
  name: string;
  takenAt: Date;
}

const DRAFT = '.part';

/** The name says whose it is and from when, so that files of others are left alone: `thermidora-<installation>-20261130T201500Z.backup.gz`. */
function nameOf(installationId: string, takenAt: Date): string {
  return `thermidora-${installationId}-${takenAt.toISOString().replaceAll(/[-:]|\.\d+/g, '')}.backup.gz`;
}

const momentOf = (text: string): string => text.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z');

/** The backups of this installation in the folder, the newest first. */
export async function listBackups(directory: string, installationId: string): Promise<BackupFile[]> {
  const before = `thermidora-${installationId}-`;
  const files = (await readdir(directory)).flatMap((name) => {
    const moment = name.startsWith(before) ? /^(\d{8}T\d{6}Z)\.backup\.gz$/.exec(name.slice(before.length))?.[1] : undefined;
    const takenAt = new Date(momentOf(moment ?? ''));
    return Number.isNaN(takenAt.getTime()) ? [] : [{ name, takenAt }];
  });
  return files.toSorted((one, other) => other.takenAt.getTime() - one.takenAt.getTime());
}

/**
 * Writes these lines as a backup, which has its name once it is complete and on the disk. What an earlier process left
 * incomplete is removed: hold the lock of the dump.
 */
export async function writeBackup(
  directory: string,
  { installationId, takenAt }: { installationId: string; takenAt: Date },
  lines: AsyncIterable<string>,
): Promise<string> {
  const name = nameOf(installationId, takenAt);
  const draft = join(directory, `${name}${DRAFT}`);
  const file = await open(draft, 'wx', 0o600);
  try {
    // The file is flushed before it is closed.
    await pipeline(Readable.from(lines), createGzip(), file.createWriteStream({ flush: true }));
    await rename(draft, join(directory, name));
  } catch (error) {
    await file.close().catch(() => undefined);
    await rm(draft, { force: true });
    throw error;
  }
  await using folder = await open(directory, 'r');
  await folder.sync();
  return name;
}

/** Removes backups of this installation beyond so many, the oldest ones, and says which. */
export async function removeOldBackups(directory: string, installationId: string, keep: number): Promise<string[]> {
  const old = (await listBackups(directory, installationId)).slice(keep).map(({ name }) => name);
  for (const name of old) await rm(join(directory, name), { force: true });
  return old;
}

/** Removes what processes that died left incomplete. Nothing else may be writing a backup of this installation. */
export async function removeDrafts(directory: string, installationId: string): Promise<void> {
  const drafts = (await readdir(directory)).filter(
    (name) => name.startsWith(`thermidora-${installationId}-`) && name.endsWith(`.backup.gz${DRAFT}`),
  );
  for (const name of drafts) await rm(join(directory, name), { force: true });
}
