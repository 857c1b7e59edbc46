import type { SleepState } from './sleep.ts';

/** What the customer wants of an instance. `destroyed` is final. */
export type DesiredStatus = 'running' | 'stopped' | 'destroyed';
export type InstanceStatus = 'provisioning' | 'running' | 'stopped' | 'destroying' | 'error';
export type TransitionKind = 'starting' | 'stopping' | 'restarting' | 'recovering' | 'destroying';
export type PowerAction = 'start' | 'stop' | 'destroy';

/** A transition that has lasted longer wants an operator's eye. */
export const STUCK_AFTER_MS = 10 * 60_000;

/** One thing that the reconciler does next. */
export type Step = 'none' | 'wake' | 'start' | 'stop' | 'destroy' | 'restart' | 'apply' | 'sleep' | 'vacate' | 'move';

/** A step that an activity does. */
export type WorkingStep = Exclude<Step, 'none' | 'wake'>;

/** The part of an instance's row that decides what is to be done. */
export interface LifecycleRow {
  desiredStatus: DesiredStatus;
  status: InstanceStatus;
  powerGeneration: number;
  /** The power generation that ended in `error`; null when none did. */
  errorGeneration: number | null;
  contentGeneration: number;
  appliedContentGeneration: number;
  restartGeneration: number;
  appliedRestartGeneration: number;
  /** The gateway process that takes messages. */
  bootId: string | null;
  /** The attempt that started its gateway process; 0 while there is none. */
  gatewayEpoch: number | null;
  transitionKind: TransitionKind | null;
  sleepState: SleepState;
  /** Since when the gateway of a sleeper is suspended; null: it is not, or it has ended. */
  suspendedAt: Date | null;
  /** The node that an operator moves it to. */
  moveNode: number | null;
  /** A message waits for it to wake. */
  hasWaitingTurn: boolean;
  hasOpenInterval: boolean;
  /** Destroyed to the end. */
  isGone: boolean;
}

export type PowerDecision =
  | { kind: 'unchanged' }
  /** The instance is being destroyed. */
  | { kind: 'refused' }
  | { kind: 'changed'; desiredStatus: DesiredStatus; status: InstanceStatus; transitionKind: TransitionKind };

function hasFailed(row: Pick<LifecycleRow, 'status' | 'powerGeneration' | 'errorGeneration'>): boolean {
  return row.status === 'error' && row.errorGeneration === row.powerGeneration;
}

/** Whether it sleeps: it is wanted to run, and starts when it is used again. */
export function isAsleep(row: Pick<LifecycleRow, 'desiredStatus' | 'status' | 'sleepState'>): boolean {
  return row.desiredStatus === 'running' && row.status === 'stopped' && row.sleepState === 'asleep';
}

/**
 * What a call that starts, stops or destroys an instance changes. Destroy wins over everything, the later of start and
 * stop wins over the earlier; a start that failed is tried again by a start, and a sleeper wakes by it. Every change makes a new power generation.
 */
export function decidePower(
  row: Pick<LifecycleRow, 'desiredStatus' | 'status' | 'powerGeneration' | 'errorGeneration' | 'sleepState'>,
  action: PowerAction,
): PowerDecision {
  const { desiredStatus, status } = row;
  if (action === 'destroy')
    return desiredStatus === 'destroyed'
      ? { kind: 'unchanged' }
      : { kind: 'changed', desiredStatus: 'destroyed', status: 'destroying', transitionKind: 'destroying' };
  if (desiredStatus === 'destroyed') return { kind: 'refused' };
  if (action === 'start')
    return desiredStatus === 'running' && !hasFailed(row) && !isAsleep(row)
      ? { kind: 'unchanged' }
      : { kind: 'changed', desiredStatus: 'running', status: 'provisioning', transitionKind: 'starting' };
  return desiredStatus === 'stopped'
    ? { kind: 'unchanged' }
    : { kind: 'changed', desiredStatus: 'stopped', status, transitionKind: 'stopping' };
}

/** The next step toward the desired state; `none` when the instance has reached it, or has failed and no newer request came. */
export function nextStep(row: LifecycleRow): Step {
  if (row.isGone) return 'none';
  if (row.desiredStatus === 'destroyed') return 'destroy';
  // One that is to stop ends its turns first, and one that moves starts where it has moved to.
  const isToStop = row.desiredStatus === 'stopped' && !hasFailed(row) && !hasStopped(row);
  if (row.moveNode !== null && !isToStop) return row.gatewayEpoch === 0 ? 'move' : 'vacate';
  if (hasFailed(row)) return 'none';
  if (row.desiredStatus === 'stopped') return isToStop ? 'stop' : 'none';
  if (isAsleep(row)) return row.hasWaitingTurn ? 'wake' : isAtRest(row) ? 'none' : 'sleep';
  if (row.status !== 'running' || row.bootId === null || !row.hasOpenInterval) return 'start';
  if (row.restartGeneration > row.appliedRestartGeneration) return 'restart';
  return row.contentGeneration > row.appliedContentGeneration ? 'apply' : 'none';
}

function hasStopped({ status, transitionKind, bootId, hasOpenInterval }: LifecycleRow): boolean {
  return status === 'stopped' && transitionKind === null && bootId === null && !hasOpenInterval;
}

/** Whether the gateway of a sleeper has ended, or is suspended. */
function isAtRest({ gatewayEpoch, suspendedAt }: LifecycleRow): boolean {
  return gatewayEpoch === 0 || suspendedAt !== null;
}

/** Whether nothing is left to do. */
export function converged(row: LifecycleRow): boolean {
  return nextStep(row) === 'none';
}

/** Whether its gateway takes messages now. */
export function takesMessages(
  row: Pick<LifecycleRow, 'status' | 'desiredStatus' | 'bootId'> & { transitionKind: TransitionKind | null },
): boolean {
  return row.status === 'running' && row.desiredStatus === 'running' && row.transitionKind === null && row.bootId !== null;
}

/** Whether a message to it is held until its gateway runs: it sleeps, or is waking. */
export function holdsMessages(row: Pick<LifecycleRow, 'desiredStatus' | 'status' | 'sleepState'>): boolean {
  const isWaking = row.desiredStatus === 'running' && row.status === 'provisioning' && row.sleepState === 'waking';
  return isWaking || isAsleep(row);
}

const DEATH_WINDOW_MS = 10 * 60_000;
const MAX_DEATHS = 5;
const FIRST_PAUSE_MS = 1_000;

/** What the deaths of a gateway (failed starts among them) lead to: another start after a pause, or giving up. */
export function afterDeath(deaths: readonly Date[], now: Date): { recent: Date[]; pauseMs: number; giveUp: boolean } {
  const recent = deaths.filter((at) => now.getTime() - at.getTime() < DEATH_WINDOW_MS);
  const giveUp = recent.length >= MAX_DEATHS;
  return { recent, giveUp, pauseMs: recent.length <= 1 ? 0 : FIRST_PAUSE_MS * 2 ** (recent.length - 2) };
}

const FAILED_STARTS_WINDOW_MS = 6 * 60 * 60_000;
/** No more of them lead to a longer pause. */
export const MAX_FAILED_STARTS = 50;
const FIRST_START_PAUSE_MS = 10_000;
const LONGEST_START_PAUSE_MS = 30 * 60_000;

/** The newest moments at which a gateway died or failed to start, with this one. */
export function rememberFailedStart(failedStarts: readonly Date[], now: Date): Date[] {
  const recent = [now, ...failedStarts].filter((at) => now.getTime() - at.getTime() < FAILED_STARTS_WINDOW_MS);
  return recent.toSorted((a, b) => b.getTime() - a.getTime()).slice(0, MAX_FAILED_STARTS);
}

/**
 * When a start that is asked for may begin, after starts that failed and gateways that died within six hours; null: at
 * once. Each five of them double the pause after the last one, up to half an hour, whether they were given up or stopped:
 * otherwise asking again would keep the machine busy with starts that come to nothing.
 */
export function startAfterFailures(failedStarts: readonly Date[], now: Date): Date | null {
  const times = failedStarts.map((at) => at.getTime()).filter((at) => now.getTime() - at < FAILED_STARTS_WINDOW_MS);
  const rounds = Math.floor(times.length / MAX_DEATHS);
  if (rounds === 0) return null;
  const pauseMs = Math.min(FIRST_START_PAUSE_MS * 2 ** (rounds - 1), LONGEST_START_PAUSE_MS);
  const notBefore = Math.max(...times) + pauseMs;
  return notBefore > now.getTime() ? new Date(notBefore) : null;
}
