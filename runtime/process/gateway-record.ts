import { readFile, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { isErrno } from '../../lib/errno.ts';
import { exists } from '../host/missing-files.ts';
import type { ProcessIdentity } from '../host/process-identity.ts';
import type { RuntimeLayout } from '../host/runtime-layout.ts';

/** What run-gateway.sh wrote about the running or last gateway process of a runtime. */
export interface GatewayRecord extends ProcessIdentity {
  /** The name of this run; its exit record carries it too. */
  run: string;
  wrapperPid: number;
  startedAt: Date;
}

export interface ExitRecord {
  /** As a shell reports it: 128 + n after signal n. */
  shellCode: number;
  at: Date;
}

const pid = z.coerce.number().int().positive();
const recordLines = z.tuple([z.string().min(1), pid, z.string().min(1), pid]);
const exitLine = z.coerce.number().int().min(0).max(255);

/** The record of the running or last gateway; null when none was ever started. */
export async function readRecord(layout: RuntimeLayout): Promise<GatewayRecord | null> {
  const found = await readWithTime(recordFile(layout));
  if (!found) return null;
  const [run, gatewayPid, startTime, wrapperPid] = recordLines.parse(found.text.trimEnd().split('\n'));
  return { run, pid: gatewayPid, startTime: startTime.trim(), wrapperPid, startedAt: found.at };
}

/** How that run ended; null while it runs and when its wrapper could not write it down. */
export async function readExit(layout: RuntimeLayout, { run }: GatewayRecord): Promise<ExitRecord | null> {
  const found = await readWithTime(join(layout.root, `exit.${run}`));
  return found && { shellCode: exitLine.parse(found.text.trim()), at: found.at };
}

/** Records that this run was told to end, so that no worker adopts it any more. */
export async function markStopping(layout: RuntimeLayout, { run }: GatewayRecord): Promise<void> {
  await writeFile(join(layout.root, `stopping.${run}`), '');
}

export async function isStopping(layout: RuntimeLayout, { run }: GatewayRecord): Promise<boolean> {
  return (await readWithTime(join(layout.root, `stopping.${run}`))) !== null;
}

/** Records that this run is halted, or about to be. */
export async function markSuspended(layout: RuntimeLayout, record: GatewayRecord): Promise<void> {
  await writeFile(suspendedFile(layout, record), '');
}

export async function isSuspended(layout: RuntimeLayout, record: GatewayRecord): Promise<boolean> {
  return exists(suspendedFile(layout, record));
}

export async function forgetSuspended(layout: RuntimeLayout, record: GatewayRecord): Promise<void> {
  await rm(suspendedFile(layout, record), { force: true });
}

function suspendedFile({ root }: RuntimeLayout, { run }: GatewayRecord): string {
  return join(root, `suspended.${run}`);
}

/** Forgets the last run, which must be over: the next one may claim the directory. */
export async function clearRecords(layout: RuntimeLayout): Promise<void> {
  await rm(recordFile(layout), { force: true });
  for (const name of await readdir(layout.root))
    if (/^(exit|stopping|suspended|process)\./.test(name)) await rm(join(layout.root, name), { force: true });
}

function recordFile({ root }: RuntimeLayout): string {
  return join(root, 'process');
}

async function readWithTime(file: string): Promise<{ text: string; at: Date } | null> {
  try {
    return { text: await readFile(file, 'utf8'), at: new Date((await stat(file)).mtimeMs) };
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return null;
    throw error;
  }
}
