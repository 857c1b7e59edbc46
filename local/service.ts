import { rm } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { aborted } from '../lib/async/aborted.ts';
import { startChild } from './child.ts';
import type { Child, Program } from './child.ts';
import { logEnd } from './log-end.ts';
import { Refusal } from './refusal.ts';

const PROBE_MS = 100;
const FIRST_DELAY_MS = 500;
const LONGEST_DELAY_MS = 10_000;
/** A part that ran this long was healthy: the next restart waits for the first delay again. */
const WELL_MS = 60_000;

export interface ServiceSpec {
  /** As a sentence begins: "The API". */
  title: string;
  program: Program;
  logFile: string;
  pidFile: string;
  /** Whether it does its work now. Must answer soon, and never throws. */
  isReady(): Promise<boolean>;
  readyWithinMs: number;
  /** The signal that asks it to end, and how long that may take before it is killed. */
  stop: { signal: 'SIGTERM' | 'SIGINT'; withinMs: number };
}

export interface ServiceDeps {
  say(sentence: string): void;
  now(): number;
}

/** A part of the stack that is kept running until it is stopped. */
export interface Service {
  /** Starts it and resolves when it is ready. Throws Refusal with the end of its log when that fails. */
  start(signal: AbortSignal): Promise<void>;
  /** Ends it for good; the signal kills it at once. */
  stop(hurry: AbortSignal): Promise<void>;
}

/** How long to wait before the next start of something that died after it ran this long. */
export function restartDelay(lastDelayMs: number | null, ranForMs: number): number {
  if (lastDelayMs === null || ranForMs >= WELL_MS) return FIRST_DELAY_MS;
  return Math.min(lastDelayMs * 2, LONGEST_DELAY_MS);
}

/** A child process of the stack that is restarted when it dies. */
export function createService(spec: ServiceSpec, deps: ServiceDeps): Service {
  const over = new AbortController();
  let current: Child | null = null;
  let supervision: Promise<void> = Promise.resolve();
  const spawn = (): Child => (current = startChild(spec.program, spec));

  return {
    async start(signal) {
      const child = spawn();
      await untilReady(spec, child, AbortSignal.any([signal, over.signal]), AbortSignal.timeout(spec.readyWithinMs));
      supervision = superviseChild(spec, deps, { child, spawn, over: over.signal });
    },
    async stop(hurry) {
      over.abort();
      if (current) await endChild(spec, deps, current, hurry);
      await supervision;
      await rm(spec.pidFile, { force: true });
    },
  };
}

async function untilReady(spec: ServiceSpec, child: Child, signal: AbortSignal, giveUp?: AbortSignal): Promise<void> {
  while (!(await spec.isReady())) {
    signal.throwIfAborted();
    if (child.hasEnded()) throw await failure(spec, child, await child.ended);
    if (giveUp?.aborted) throw await failure(spec, child, `was not ready within ${spec.readyWithinMs / 1000} s`);
    await sleep(PROBE_MS, undefined, { signal });
  }
  // Another process on the same port may have answered in the child's place.
  if (child.hasEnded()) throw await failure(spec, child, await child.ended);
}

async function failure({ title, logFile }: ServiceSpec, { logStart }: Child, what: string): Promise<Refusal> {
  return new Refusal(`${title} ${what}. The end of ${logFile}:\n${await logEnd(logFile, logStart)}`);
}

interface Supervised {
  child: Child;
  spawn(): Child;
  over: AbortSignal;
}

async function superviseChild(spec: ServiceSpec, { say, now }: ServiceDeps, { child, spawn, over }: Supervised): Promise<void> {
  let delayMs: number | null = null;
  for (let running = child; ;) {
    const startedAt = now();
    const how = await running.ended;
    if (over.aborted) return;
    delayMs = restartDelay(delayMs, now() - startedAt);
    say(`${spec.title} ${how}; it is started again in ${delayMs / 1000} s (its log: ${spec.logFile}).`);
    if (!(await pause(delayMs, over))) return;
    running = spawn();
    void untilReady(spec, running, over).then(
      () => say(`${spec.title} is back.`),
      () => {}, // It has died again, and the loop says so, or everything is over.
    );
  }
}

/** Waits; false when the wait was ended by the signal. */
export async function pause(ms: number, signal: AbortSignal): Promise<boolean> {
  return sleep(ms, true, { signal }).catch(() => false);
}

async function endChild({ title, stop }: ServiceSpec, { say }: ServiceDeps, child: Child, hurry: AbortSignal): Promise<void> {
  if (child.hasEnded()) return;
  child.kill(hurry.aborted ? 'SIGKILL' : stop.signal);
  const patience = AbortSignal.any([hurry, AbortSignal.timeout(stop.withinMs)]);
  const hasLeft = await Promise.race([child.ended.then(() => true), aborted(patience).then(() => false)]);
  if (hasLeft) return;
  if (!hurry.aborted) say(`${title} did not stop within ${stop.withinMs / 1000} s and is killed.`);
  child.kill('SIGKILL');
  await child.ended;
}
