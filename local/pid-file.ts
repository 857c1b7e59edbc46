import { readFile, rm } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { isErrno } from '../lib/errno.ts';
import { isAlive, killPid, signalProcess } from '../runtime/host/process-identity.ts';
import type { ProcessIdentity } from '../runtime/host/process-identity.ts';

const POLL_MS = 50;
const KILL_MS = 10_000;

/** The process that the pid file of startChild names; null when there is no file, or an incomplete one. */
export async function readPidFile(file: string): Promise<ProcessIdentity | null> {
  try {
    const [pid, startTime] = (await readFile(file, 'utf8')).split('\n');
    return pid && startTime && Number.isInteger(Number(pid)) ? { pid: Number(pid), startTime: startTime.trim() } : null;
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return null;
    throw error;
  }
}

export interface Leftover {
  title: string;
  pidFile: string;
  /** How long it may take to end after SIGTERM; then it is killed. */
  withinMs: number;
}

/** Ends what an earlier start left behind when it was killed itself. Another process that has the same pid now is spared. */
export async function endLeftover({ title, pidFile, withinMs }: Leftover, say: (sentence: string) => void): Promise<void> {
  const process = await readPidFile(pidFile);
  if (process && (await isAlive(process))) {
    say(`An earlier npm start was killed and left ${title} running (process ${process.pid}); stopping it first.`);
    await signalProcess(process, 'SIGTERM');
    if (!(await isGoneWithin(process, withinMs))) {
      // Also kills what it started in its session. Gateways have other sessions.
      if (await isAlive(process)) killPid(-process.pid, 'SIGKILL');
      await isGoneWithin(process, KILL_MS);
    }
  }
  await rm(pidFile, { force: true });
}

async function isGoneWithin(process: ProcessIdentity, ms: number): Promise<boolean> {
  const giveUp = AbortSignal.timeout(ms);
  while (await isAlive(process)) {
    if (giveUp.aborted) return false;
    await sleep(POLL_MS);
  }
  return true;
}
