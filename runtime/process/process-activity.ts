import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { RuntimeActivity } from '../driver.ts';
import { isAlive, PS_ENV, statFieldsOf } from '../host/process-identity.ts';
import type { ProcessIdentity } from '../host/process-identity.ts';

/** What Linux counts CPU time in, on every platform that Node runs on. */
const TICK_MS = 10;

/** What exactly this process does, all its threads together and without its children; null when it is gone. */
export async function activityOfProcess(identity: ProcessIdentity): Promise<RuntimeActivity | null> {
  const activity = await (process.platform === 'linux' ? fromProc(identity.pid) : fromPs(identity.pid));
  // Afterwards, so that what was read is not of a later process with the same pid.
  return activity && (await isAlive(identity)) ? activity : null;
}

async function fromProc(pid: number): Promise<RuntimeActivity | null> {
  const fields = await statFieldsOf(pid);
  const [state, userTicks, systemTicks] = fields ? [fields[0], fields[11], fields[12]] : [];
  if (state === undefined || userTicks === undefined || systemTicks === undefined) return null;
  return { cpuMs: (Number(userTicks) + Number(systemTicks)) * TICK_MS, isFrozen: isStopped(state) };
}

async function fromPs(pid: number): Promise<RuntimeActivity | null> {
  try {
    const { stdout } = await promisify(execFile)('ps', ['-o', 'stat=,time=', '-p', String(pid)], { env: PS_ENV });
    const [state = '', time = ''] = stdout.trim().split(/\s+/);
    return { cpuMs: parseCpuTime(time), isFrozen: isStopped(state) };
  } catch {
    return null; // ps exits 1 when there is no such process
  }
}

/** By a signal (T) or by a debugger (t). */
export function isStopped(state: string): boolean {
  return /^[Tt]/.test(state);
}

/** The milliseconds of `[[days-]hours:]minutes:seconds[.hundredths]`, as ps states CPU time. */
export function parseCpuTime(text: string): number {
  const [clock = '', days = '0'] = text.split('-').toReversed();
  const seconds = clock.split(':').reduce((sum, part) => sum * 60 + Number(part), 0);
  return Math.round((Number(days) * 86_400 + seconds) * 1_000);
}
