import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { open } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { gatewayCommand, gatewayEnvironment } from '../host/gateway-environment.ts';
import type { GatewayProgram } from '../host/gateway-environment.ts';
import { clearRecords, readExit, readRecord } from './gateway-record.ts';
import type { GatewayRecord } from './gateway-record.ts';
import { isAlive, killPid, runs, signalProcess } from '../host/process-identity.ts';
import type { RuntimeLayout } from '../host/runtime-layout.ts';
import { processesOf } from './runtime-processes.ts';
import { StorageError } from '../host/storage-error.ts';

const WRAPPER = join(dirname(fileURLToPath(import.meta.url)), 'run-gateway.sh');
const POLL_MS = 25;
/** How long the wrapper has to write each of its records down: a few milliseconds on an idle machine. */
const RECORD_MS = 10_000;
const EXIT_MS = 2_000;
const KILL_MS = 10_000;

/**
 * Starts the gateway in a new session, with its output in a file, and returns when its record is there.
 * From then on it outlives this process. The last run must be over.
 */
export async function startGateway(layout: RuntimeLayout, program: GatewayProgram): Promise<void> {
  await clearRecords(layout);
  const output = await open(layout.outputFile, 'a', 0o600);
  try {
    const wrapper = spawn('/bin/sh', [WRAPPER, layout.root, randomUUID(), ...gatewayCommand(program)], {
      cwd: layout.stateDir,
      env: gatewayEnvironment(layout, program),
      detached: true,
      stdio: ['ignore', output.fd, output.fd],
    });
    wrapper.unref();
    await recordOrFailure(layout, wrapper);
  } finally {
    await output.close();
  }
}

/** Another run's record is as good: a worker that died right after its spawn may have come first. */
async function recordOrFailure(layout: RuntimeLayout, wrapper: ReturnType<typeof spawn>): Promise<void> {
  const failures: Error[] = [];
  wrapper.once('error', (error) => failures.push(error));
  const giveUp = AbortSignal.timeout(RECORD_MS);
  for (;;) {
    // A wrapper that had ended before this look has written what it ever will.
    const over = wrapper.exitCode !== null || wrapper.signalCode !== null || giveUp.aborted;
    if (await readRecord(layout)) return;
    if (failures[0]) throw failures[0];
    if (over)
      throw new StorageError(
        `The gateway could not be started: its wrapper wrote no record into ${layout.root}. ` +
          `Check the free space of that disk; the reason may stand at the end of ${layout.outputFile}.`,
      );
    await sleep(POLL_MS);
  }
}

/** Waits until this gateway is gone; false when it still runs after withinMs. */
export async function waitUntilGone(
  record: GatewayRecord,
  { withinMs, signal }: { withinMs: number; signal?: AbortSignal },
): Promise<boolean> {
  const giveUp = AbortSignal.timeout(withinMs);
  while (await isAlive(record)) {
    if (giveUp.aborted) return false;
    signal?.throwIfAborted();
    await sleep(POLL_MS);
  }
  return true;
}

/** Kills whatever runs for this runtime: its gateway, and every child that was left behind. */
export async function killAll(layout: RuntimeLayout): Promise<void> {
  const record = await readRecord(layout);
  if (record) {
    await signalProcess(record, 'SIGKILL');
    if (!(await waitUntilGone(record, { withinMs: KILL_MS })))
      throw new Error(`The gateway process ${record.pid} does not end, not even by SIGKILL.`);
    await settledExit(layout, record);
  }
  const giveUp = AbortSignal.timeout(KILL_MS);
  // Again until none is left: a process may have forked while the list was made.
  for (let pids = await processesOf(layout); pids.length > 0; pids = await processesOf(layout)) {
    if (giveUp.aborted) throw new Error(`Processes of the runtime do not end, not even by SIGKILL: ${pids.join(', ')}.`);
    for (const pid of pids) killPid(pid, 'SIGKILL');
    await sleep(POLL_MS);
  }
}

/** The exit record of a gateway that is gone, once its wrapper had the time to write it; null when it never will. */
export async function settledExit(layout: RuntimeLayout, record: GatewayRecord) {
  const giveUp = AbortSignal.timeout(EXIT_MS);
  for (let wrapperRuns = true; ;) {
    const exit = await readExit(layout, record);
    if (exit || !wrapperRuns || giveUp.aborted) return exit;
    wrapperRuns = await runs(record.wrapperPid);
    if (wrapperRuns) await sleep(POLL_MS);
  }
}
