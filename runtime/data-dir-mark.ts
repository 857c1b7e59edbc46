import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { namesIn, textOf } from './host/missing-files.ts';
import { replaceFile } from './host/replace-file.ts';
import { isRuntimeId, runtimesDirOf } from './host/runtime-layout.ts';

const markSchema = z.object({
  id: z.string().min(1),
  canaries: z.record(z.string(), z.string()),
  /** Ids that it had before it was adopted: labels of an engine's volumes cannot be changed. */
  earlier: z.array(z.string()).default([]),
});

/** What a DATA_DIR says of the installation that it belongs to. */
export type DataDirMark = z.infer<typeof markSchema>;

/** Null when there is no mark: a new DATA_DIR, or one of an earlier version. Throws when the file is damaged. */
export async function readDataDirMark(dataDir: string): Promise<DataDirMark | null> {
  const text = await textOf(fileOf(dataDir));
  return text === null ? null : markSchema.parse(JSON.parse(text));
}

/** Puts the mark into a DATA_DIR, which is made when it is missing. */
export async function writeDataDirMark(dataDir: string, mark: DataDirMark): Promise<void> {
  await mkdir(dataDir, { recursive: true, mode: 0o755 });
  await replaceFile(fileOf(dataDir), `${JSON.stringify(mark, null, 2)}\n`, 0o600);
}

/** The runtimes that have a directory there, quarantined ones excepted. */
export async function runtimesIn(dataDir: string): Promise<string[]> {
  return (await namesIn(runtimesDirOf(dataDir))).filter(isRuntimeId);
}

function fileOf(dataDir: string): string {
  return join(dataDir, 'installation.json');
}
