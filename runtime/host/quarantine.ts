import { mkdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { QuarantinedRuntime } from '../driver.ts';
import { exists, namesIn } from './missing-files.ts';
import { isRuntimeId, quarantineDirOf } from './runtime-layout.ts';
import type { RuntimeLayout } from './runtime-layout.ts';

/** `<runtimeId>.<milliseconds since 1970>`: one rename sets a runtime aside and says since when. */
const NAME = /^([^.]+)\.(\d{1,15})$/;

/** The runtimes that are set aside in this data directory, the latest first; each once. */
export async function quarantinedIn(dataDir: string): Promise<QuarantinedRuntime[]> {
  const found = new Map<string, QuarantinedRuntime>();
  for (const { runtimeId, at } of await entriesOf(quarantineDirOf(dataDir)))
    if (!found.has(runtimeId)) found.set(runtimeId, { runtimeId, quarantinedAt: at });
  return [...found.values()];
}

/** Whether the directory of a runtime is set aside and nothing stands in its place. */
export async function isSetAside(layout: RuntimeLayout): Promise<boolean> {
  return (await directoriesOf(layout)).length > 0 && !(await exists(layout.root));
}

/** Moves the directory of a runtime out of the way. Its compute must have ended. Repeating it keeps the first time. */
export async function setAside(layout: RuntimeLayout, at: Date): Promise<void> {
  if (await isSetAside(layout)) return;
  await mkdir(layout.quarantineDir, { recursive: true, mode: 0o700 });
  // A runtime may have storage elsewhere and no directory.
  await mkdir(layout.root, { recursive: true, mode: 0o700 });
  await rename(layout.root, join(layout.quarantineDir, `${basename(layout.root)}.${at.getTime()}`));
}

/** Moves what was set aside back to its place. Nothing happens when nothing was, or something else stands there. */
export async function giveBack(layout: RuntimeLayout): Promise<void> {
  const [latest] = await directoriesOf(layout);
  if (latest === undefined || (await exists(layout.root))) return;
  await mkdir(dirname(layout.root), { recursive: true, mode: 0o700 });
  await rename(latest, layout.root);
}

/** Deletes what was set aside of a runtime. */
export async function removeQuarantined(layout: RuntimeLayout): Promise<void> {
  for (const directory of await directoriesOf(layout)) await rm(directory, { recursive: true, force: true });
}

/** What was set aside of one runtime, the latest first. */
async function directoriesOf({ root, quarantineDir }: RuntimeLayout): Promise<string[]> {
  const entries = await entriesOf(quarantineDir);
  return entries.filter(({ runtimeId }) => runtimeId === basename(root)).map(({ name }) => join(quarantineDir, name));
}

async function entriesOf(quarantineDir: string): Promise<{ name: string; runtimeId: string; at: Date }[]> {
  const entries = (await namesIn(quarantineDir)).flatMap((name) => {
    const [, runtimeId = '', at] = NAME.exec(name) ?? [];
    return isRuntimeId(runtimeId) ? [{ name, runtimeId, at: new Date(Number(at)) }] : [];
  });
  return entries.toSorted((one, other) => other.at.getTime() - one.at.getTime());
}
