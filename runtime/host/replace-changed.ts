import { textOf } from './missing-files.ts';
import { replaceFile } from './replace-file.ts';

/** Puts the text in place of the file as replaceFile does, unless the file has this text already. `again`: also then, for a program that watches the file and has missed a replacement. */
export async function replaceChanged(
  file: string,
  text: string,
  { mode, again }: { mode: number; again: boolean },
): Promise<void> {
  if (again || (await textOf(file)) !== text) await replaceFile(file, text, mode);
}
