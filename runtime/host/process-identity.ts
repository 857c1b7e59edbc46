import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { isErrno } from '../../lib/errno.ts';

/** The environment in which run-gateway.sh calls ps too: the date must not depend on the caller's language or zone. */
export const PS_ENV = { PATH: '/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC0' };

/** A process that can never be mistaken for a later one with the same pid. */
export interface ProcessIdentity {
  pid: number;
  /** As the system states it: clock ticks since boot on Linux, a date elsewhere. */
  startTime: string;
}

/**
 * Whether exactly this process still runs. One that ended and was not waited for yet counts as gone, one whose first thread
 * ended before another does not: what a process holds, such as the locks of its files, is free only once its last thread has ended.
 */
export async function isAlive({ pid, startTime }: ProcessIdentity): Promise<boolean> {
  return (await startTimeOf(pid)) === startTime;
}

/** Whether any process has this pid now. */
export async function runs(pid: number): Promise<boolean> {
  return (await startTimeOf(pid)) !== null;
}

/** Sends the signal unless the process is gone. */
export async function signalProcess(identity: ProcessIdentity, signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
  if (await isAlive(identity)) killPid(identity.pid, signal);
}

/** Like process.kill, but a process that has gone meanwhile is not an error. Throws for 0, the group of this process itself. */
export function killPid(pid: number, signal: 'SIGTERM' | 'SIGKILL' | 'SIGSTOP' | 'SIGCONT'): void {
  if (pid === 0) throw new Error('No process has the pid 0');
  try {
    process.kill(pid, signal);
  } catch (error) {
    if (!isErrno(error, 'ESRCH')) throw error;
  }
}

async function startTimeOf(pid: number): Promise<string | null> {
  if (process.platform !== 'linux') return startTimeFromPs(pid);
  const fields = await statFieldsOf(pid);
  return fields === null || hasEnded(fields) ? null : (fields[19] ?? null);
}

/** The first thread has ended, and there is no other: until then the kernel counts those that are about to end, too. */
function hasEnded([state, ...others]: readonly string[]): boolean {
  const threads = Number(others[16]);
  return (state === 'Z' || state === 'X') && threads <= 1;
}

/** The fields of /proc/<pid>/stat from the state (proc(5) calls it the third) on; null when there is no such process. */
export async function statFieldsOf(pid: number): Promise<string[] | null> {
  try {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
    // The name in parentheses before them may hold spaces.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ESRCH')) return null;
    throw error;
  }
}

async function startTimeFromPs(pid: number): Promise<string | null> {
  try {
    const { stdout } = await promisify(execFile)('ps', ['-o', 'stat=,lstart=', '-p', String(pid)], { env: PS_ENV });
    const [state, ...startTime] = stdout.trim().split(/\s+/);
    return state?.startsWith('Z') ? null : startTime.join(' ') || null;
  } catch {
    return null; // ps exits 1 when there is no such process
  }
}
