import { setTimeout as sleep } from 'node:timers/promises';
import type { SuspendAnswer } from '../driver.ts';
import { killPid, isAlive, statFieldsOf } from '../host/process-identity.ts';
import type { RuntimeLayout } from '../host/runtime-layout.ts';
import { moveToSwap } from '../host/suspended-memory.ts';
import { forgetSuspended, isStopping, isSuspended, markSuspended, readRecord } from './gateway-record.ts';
import type { GatewayRecord } from './gateway-record.ts';
import { isStopped } from './process-activity.ts';
import { processesOf } from './runtime-processes.ts';

const POLL_MS = 10;
/** A process stops at once, unless the kernel is at work for it. */
const STOP_MS = 2_000;

/**
 * Stops every process of a gateway and moves their memory to swap. Call it under the runtime's lock. The mark comes first, so
 * that a gateway whose suspension was cut off is known as suspended; where it cannot be suspended it goes on as before.
 */
export async function suspendGateway(layout: RuntimeLayout, signal: AbortSignal): Promise<SuspendAnswer> {
  const record = await readRecord(layout);
  if (!record || !(await isAlive(record)) || (await isStopping(layout, record))) return 'not_running';
  const answer = await moveToSwap({
    pids: () => pidsOf(layout, record),
    async freeze() {
      await markSuspended(layout, record);
      return stopAll(layout, record, signal);
    },
    thaw: () => goOn(layout, record),
    signal,
  });
  return (await isAlive(record)) ? answer : 'not_running';
}

/** Lets every process of a suspended gateway go on. False when none is suspended, or it has ended. */
export async function resumeGateway(layout: RuntimeLayout): Promise<boolean> {
  const record = await readRecord(layout);
  if (!record || !(await isSuspended(layout, record))) return false;
  await goOn(layout, record);
  return isAlive(record);
}

/** Again until none of them runs: a process may have forked while the list was made. False when one cannot be stopped. */
async function stopAll(layout: RuntimeLayout, record: GatewayRecord, signal: AbortSignal): Promise<boolean> {
  const giveUp = AbortSignal.timeout(STOP_MS);
  for (let running = await runningOf(layout, record); running.length > 0; running = await runningOf(layout, record)) {
    signal.throwIfAborted();
    if (giveUp.aborted) return false;
    for (const pid of running) killPid(pid, 'SIGSTOP');
    await sleep(POLL_MS);
  }
  return true;
}

async function goOn(layout: RuntimeLayout, record: GatewayRecord): Promise<void> {
  for (const pid of await pidsOf(layout, record)) killPid(pid, 'SIGCONT');
  await forgetSuspended(layout, record);
}

/** Without the wrapper, which has to write down how its gateway ends. */
async function pidsOf(layout: RuntimeLayout, { wrapperPid }: GatewayRecord): Promise<number[]> {
  return (await processesOf(layout)).filter((pid) => pid !== wrapperPid);
}

async function runningOf(layout: RuntimeLayout, record: GatewayRecord): Promise<number[]> {
  const pids = await pidsOf(layout, record);
  const states = await Promise.all(pids.map(async (pid) => (await statFieldsOf(pid))?.[0]));
  return pids.filter((_, index) => {
    const state = states[index];
    return state !== undefined && !isStopped(state) && !/^[ZX]/.test(state);
  });
}
