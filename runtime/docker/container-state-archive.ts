import type { MutationCall } from '../driver.ts';
import { fillFrom, readArchive, readStateCommand, replaceStateCommand } from '../state-archive.ts';
import { openBeside } from './container-files.ts';
import type { Beside } from './container-files.ts';
import { STATE_DIR } from './in-container.ts';

/** RuntimeDriver.readState by one more container. */
export async function readState(beside: Beside, runtimeId: string, signal: AbortSignal): Promise<AsyncIterable<Buffer> | null> {
  const opened = await openBeside(beside, runtimeId, readStateCommand(STATE_DIR), signal);
  return opened && readArchive(opened.program);
}

/** RuntimeDriver.replaceState by one more container; the runtime must have storage. */
export async function fillState(
  beside: Beside,
  runtimeId: string,
  archive: AsyncIterable<Buffer>,
  { epoch, signal }: MutationCall,
): Promise<void> {
  const opened = await openBeside(beside, runtimeId, replaceStateCommand(STATE_DIR, epoch), signal);
  if (!opened) throw new Error(`There is no storage for ${runtimeId}.`);
  await fillFrom(archive, opened.program);
}
