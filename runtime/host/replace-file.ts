import { randomUUID } from 'node:crypto';
import { rename, rm, writeFile } from 'node:fs/promises';
import { textOf } from './missing-files.ts';

/** Puts the text in place of the file in one step: a reader or a crash sees the old or the new one, never a part. */
export async function replaceFile(file: string, text: string, mode: number): Promise<void> {
  const draft = `${file}.${randomUUID()}.new`;
  try {
    await writeFile(draft, text, { mode, flag: 'wx', flush: true });
    await rename(draft, file);
  } catch (error) {
    await rm(draft, { force: true });
    throw error;
  }
}

/** The same, unless the file has this text already. `again`: also then, for a program that watches the file and has missed a replacement. */
export async function replaceChanged(
  file: string,
  text: string,
  { mode, again }: { mode: number; again: boolean },
): Promise<void> {
  if (again || (await textOf(file)) !== text) await replaceFile(file, text, mode);
}
