import { readFile, writeFile } from 'node:fs/promises';
import { z } from 'zod';
import { isErrno } from '../../lib/errno.ts';
import { StaleEpochError } from '../driver.ts';
import { replaceFile } from './replace-file.ts';
import type { RuntimeLayout } from './runtime-layout.ts';

/** Always as long as the largest safe integer, so that it is overwritten in place: a full disk hinders no stop and no destroy. */
const EPOCH_DIGITS = String(Number.MAX_SAFE_INTEGER).length;

const epoch = z.coerce.number().int().min(0);

/** Throws StaleEpochError when a higher epoch has been here; remembers this one. Call it under the runtime's lock. */
export async function raiseEpoch(layout: RuntimeLayout, runtimeId: string, wanted: number): Promise<void> {
  const highest = await readEpoch(layout);
  if (highest !== null && wanted < passable(highest)) throw new StaleEpochError(runtimeId);
  const text = `${String(wanted).padStart(EPOCH_DIGITS, '0')}\n`;
  if (highest === null) await replaceFile(layout.epochFile, text, 0o600);
  else if (wanted !== highest) await writeFile(layout.epochFile, text, { flag: 'r+', flush: true });
}

/** The highest epoch that has been here; 0 when none has. A caller that carries a higher one passes. */
export async function highestEpoch(layout: RuntimeLayout): Promise<number> {
  return passable((await readEpoch(layout)) ?? 0);
}

/** Earlier versions wrote the largest safe integer, which no attempt can exceed, for runtimes that no instance owned. */
function passable(highest: number): number {
  return highest === Number.MAX_SAFE_INTEGER ? 0 : highest;
}

async function readEpoch({ epochFile }: RuntimeLayout): Promise<number | null> {
  try {
    return epoch.parse((await readFile(epochFile, 'utf8')).trim());
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return null;
    throw error;
  }
}
