import { gaveUpMessage, GIVEN_UP_AT_ONCE, INSTANCE_NOTES, NO_CAPACITY, START_PAUSED, STEP_FAILURES } from './failures.ts';
import type { StatusReason, StepFailure } from './failures.ts';
import { afterBreakdown } from './gateway-verdict.ts';
import type { BreakdownFailure, Happening, Lifecycle } from './happenings.ts';
import { afterDeath, decidePower, isAsleep, rememberFailedStart, startAfterFailures } from './lifecycle.ts';
import type { PowerAction, TransitionKind, WorkingStep } from './lifecycle.ts';
import { isOfMove, moveChanged } from './next-move.ts';
import { asleepSince, awakeSince, NO_GATEWAY, NO_SLEEP, sleeperChanged, wakingSince } from './next-sleep.ts';

/** Changes within this time share one restart. */
const GATHER_MS = 2_000;

const NO_TRANSITION = {
  transitionKind: null,
  transitionStartedAt: null,
  transitionAttempt: 0,
  transitionStep: null,
} as const satisfies Partial<Lifecycle>;

const NO_REASON = {
  reasonCode: null,
  reasonMessage: null,
  reasonAt: null,
  reasonRetryable: null,
} as const satisfies Partial<Lifecycle>;

/** What earlier gateways did counts no more. */
const FORGIVEN = { deaths: [], breakdowns: [], giveUpFor: null } satisfies Partial<Lifecycle>;

const after = (now: Date, ms: number): Date => new Date(now.getTime() + ms);

function begun(kind: TransitionKind, now: Date) {
  return {
    transitionKind: kind,
    transitionStartedAt: now,
    transitionAttempt: 0,
    transitionStep: null,
  } satisfies Partial<Lifecycle>;
}

function because({ code, message, retryable }: StatusReason, now: Date) {
  return { reasonCode: code, reasonMessage: message, reasonAt: now, reasonRetryable: retryable } satisfies Partial<Lifecycle>;
}

/** The row of an instance after this happened to it at this moment. Total: what changes nothing answers the row as it is. */
export function next(row: Lifecycle, happening: Happening, now: Date): Lifecycle {
  return { ...row, ...changeOf(row, happening, now) };
}

function changeOf(row: Lifecycle, happening: Happening, now: Date): Partial<Lifecycle> {
  if (isOfMove(happening)) return moveChanged(row, happening);
  switch (happening.kind) {
    case 'power-asked':
      return powerAsked(row, happening.action, now);
    case 'look-asked':
      return lookAsked(row, now);
    case 'restart-asked':
      return restartAsked(row, now);
    case 'content-asked':
      return { contentGeneration: row.contentGeneration + 1, ...(saysDrift(row) && NO_REASON) };
    case 'content-drifted':
      return { contentGeneration: row.contentGeneration + 1, ...(!saysDrift(row) && because(INSTANCE_NOTES.content_drift, now)) };
    case 'queued':
      return { queuedAt: row.queuedAt ?? now, transitionStep: 'queued', ...because(NO_CAPACITY, row.queuedAt ?? now) };
    case 'slot-taken':
      return { queuedAt: null, transitionStep: 'queued' };
    case 'claimed':
      return { gatewayEpoch: happening.gatewayEpoch };
    case 'step-begun':
      return stepBegun(row, happening, now);
    case 'step-moved':
      return { transitionStep: happening.doing };
    case 'published':
      return published(row, happening, now);
    case 'content-applied':
      return contentApplied(row, happening.contentGeneration);
    case 'content-given-up':
      return { appliedContentGeneration: happening.contentGeneration, epoch: row.epoch + 1 };
    case 'released':
      return { bootId: null, killFirst: row.killFirst || happening.killFirst };
    case 'gateway-gone':
      return gatewayGone(row, happening.restartGeneration);
    case 'fell-asleep':
      return fellAsleep(row, happening.wakesAt, now);
    case 'woken':
      return isAsleep(row) ? powerAsked(row, 'start', now) : {};
    case 'gateway-asleep':
    case 'gateway-suspended':
    case 'suspension-ended':
    case 'wake-postponed':
      return isAsleep(row) ? sleeperChanged(row, happening, now) : {};
    case 'stopped':
      return { ...NO_GATEWAY, ...FORGIVEN, ...NO_TRANSITION, ...NO_REASON, ...NO_SLEEP, status: 'stopped', stoppedAt: now };
    case 'destroyed':
      return { ...NO_GATEWAY, ...FORGIVEN, ...NO_TRANSITION, ...NO_REASON, ...NO_SLEEP, status: 'destroying', deletedAt: now };
    case 'died':
      return died(row, happening, now);
    case 'found-lost':
      return { bootId: null, killFirst: true };
    case 'broke-down':
      return brokeDown(row, happening.failure, now);
    case 'start-failed':
      return startFailed(row, happening, now);
    case 'given-up':
      return givenUp(row, happening.failure, now);
    case 'change-failed':
      return because(STEP_FAILURES[happening.failure], now);
    case 'noted':
      return because(INSTANCE_NOTES[happening.note], now);
    case 'calmed':
      return NO_REASON;
    case 'local-stop':
      return localStop(row, now);
    case 'tombstone-raised':
      return { epoch: Math.max(row.epoch, happening.fence) + 1 };
  }
}

function gatewayGone(row: Lifecycle, restartGeneration: number): Partial<Lifecycle> {
  return {
    killFirst: false,
    suspendedAt: null,
    gatewayEpoch: row.epoch,
    appliedRestartGeneration: Math.max(row.appliedRestartGeneration, restartGeneration),
  };
}

function fellAsleep(row: Lifecycle, wakesAt: Date | null, now: Date): Partial<Lifecycle> {
  if (row.desiredStatus !== 'running' || row.status !== 'running') return {};
  return { ...NO_TRANSITION, ...NO_REASON, ...asleepSince(now, wakesAt) };
}

function powerAsked(row: Lifecycle, action: PowerAction, now: Date): Partial<Lifecycle> {
  const decision = decidePower(row, action);
  if (decision.kind !== 'changed') return {};
  const startNotBefore = action === 'start' ? startAfterFailures(row.failedStarts, now) : null;
  return {
    ...FORGIVEN,
    ...begun(decision.transitionKind, now),
    ...(action === 'start' && isAsleep(row) ? wakingSince(now) : NO_SLEEP),
    ...(startNotBefore ? because(START_PAUSED, now) : NO_REASON),
    desiredStatus: decision.desiredStatus,
    status: decision.status,
    powerGeneration: row.powerGeneration + 1,
    startNotBefore,
    queuedAt: null,
  };
}

function lookAsked(row: Lifecycle, now: Date): Partial<Lifecycle> {
  const hasFailed = row.errorGeneration === row.powerGeneration;
  const isFailedStart = hasFailed && row.status === 'error' && row.desiredStatus === 'running';
  return {
    ...FORGIVEN,
    startNotBefore: null,
    powerGeneration: row.powerGeneration + (hasFailed ? 1 : 0),
    ...(row.reasonCode === START_PAUSED.code && NO_REASON),
    ...(isFailedStart && { ...begun('starting', now), ...NO_REASON, status: 'provisioning' }),
  };
}

/** Where it does not run the next start makes a new process anyway, unless it resumes the one of a sleeper. */
function restartAsked(row: Lifecycle, now: Date): Partial<Lifecycle> {
  if (row.sleepState !== 'awake') return { restartGeneration: row.restartGeneration + 1 };
  if (row.status !== 'running' || row.desiredStatus !== 'running') return {};
  const isGathering = row.restartNotBefore !== null && row.restartNotBefore > now;
  return {
    ...(row.transitionKind !== 'restarting' && begun('restarting', now)),
    restartGeneration: row.restartGeneration + 1,
    restartNotBefore: isGathering ? row.restartNotBefore : after(now, GATHER_MS),
  };
}

function stepBegun(row: Lifecycle, { step, fence }: Extract<Happening, { kind: 'step-begun' }>, now: Date): Partial<Lifecycle> {
  const kind = transitionOf(row, step);
  const goesOn = row.transitionKind === kind;
  return {
    epoch: Math.max(row.epoch, fence) + 1,
    status: step === 'start' && kind !== 'restarting' ? 'provisioning' : row.status,
    bootId: step === 'start' ? null : row.bootId,
    transitionKind: kind,
    transitionStartedAt: goesOn ? row.transitionStartedAt : kind && now,
    transitionAttempt: (goesOn ? row.transitionAttempt : 0) + (kind === null ? 0 : 1),
    transitionStep: null,
    queuedAt: null,
  };
}

/** A start goes on with the transition that it belongs to; one that was not asked for is a recovery. */
function transitionOf({ transitionKind, status }: Lifecycle, step: WorkingStep): TransitionKind | null {
  switch (step) {
    case 'vacate':
    case 'move':
      return transitionKind ?? (status === 'running' ? 'restarting' : null);
    case 'apply':
    case 'sleep':
      return null;
    case 'stop':
      return 'stopping';
    case 'destroy':
      return 'destroying';
    case 'restart':
      return 'restarting';
    case 'start':
      return transitionKind === 'starting' || transitionKind === 'restarting' ? transitionKind : 'recovering';
  }
}

function published(
  row: Lifecycle,
  { bootId, contentGeneration }: Extract<Happening, { kind: 'published' }>,
  now: Date,
): Partial<Lifecycle> {
  const isToRestart = row.restartGeneration > row.appliedRestartGeneration;
  return {
    ...(isToRestart ? begun('restarting', now) : NO_TRANSITION),
    ...NO_REASON,
    ...awakeSince(now, row),
    status: 'running',
    bootId,
    startedAt: now,
    startNotBefore: null,
    errorGeneration: null,
    appliedContentGeneration: Math.max(row.appliedContentGeneration, contentGeneration),
  };
}

function saysDrift({ reasonCode }: Lifecycle): boolean {
  return reasonCode === INSTANCE_NOTES.content_drift.code;
}

/** That its gateway once did not hold what it should stays said. */
function contentApplied(row: Lifecycle, contentGeneration: number): Partial<Lifecycle> {
  return {
    appliedContentGeneration: Math.max(row.appliedContentGeneration, contentGeneration),
    ...(!saysDrift(row) && NO_REASON),
  };
}

function died(row: Lifecycle, happening: Extract<Happening, { kind: 'died' }>, now: Date): Partial<Lifecycle> {
  const { endedAt, killFirst, isDisruption = false } = happening;
  // A gateway that was told to end has not died.
  if (row.desiredStatus !== 'running' || row.transitionKind === 'restarting') return { bootId: null, killFirst };
  const recovering = { ...begun('recovering', now), status: 'provisioning', bootId: null, killFirst } as const;
  if (isDisruption) return recovering;
  const { recent, pauseMs } = afterDeath([...row.deaths, endedAt ?? now], now);
  return {
    ...recovering,
    startNotBefore: pauseMs > 0 ? after(now, pauseMs) : null,
    deaths: recent,
    failedStarts: rememberFailedStart(row.failedStarts, now),
  };
}

function brokeDown(row: Lifecycle, failure: BreakdownFailure, now: Date): Partial<Lifecycle> {
  const { recent, pauseMs, giveUp } = afterBreakdown([...row.breakdowns, now], now);
  const isLast = giveUp || GIVEN_UP_AT_ONCE[failure];
  return {
    ...begun('recovering', now),
    ...because(STEP_FAILURES[failure], now),
    status: 'provisioning',
    bootId: null,
    killFirst: true,
    // Giving up waits for nothing.
    startNotBefore: after(now, isLast ? 0 : pauseMs),
    breakdowns: recent,
    failedStarts: rememberFailedStart(row.failedStarts, now),
    giveUpFor: isLast ? failure : null,
  };
}

function startFailed(
  row: Lifecycle,
  { failure, fence }: Extract<Happening, { kind: 'start-failed' }>,
  now: Date,
): Partial<Lifecycle> {
  const { recent, pauseMs } = afterDeath([...row.deaths, now], now);
  return {
    ...because(STEP_FAILURES[failure], now),
    // Nothing of the attempt that failed counts any more.
    epoch: Math.max(row.epoch, fence) + 1,
    status: 'provisioning',
    bootId: null,
    killFirst: true,
    startNotBefore: after(now, pauseMs),
    deaths: recent,
    failedStarts: rememberFailedStart(row.failedStarts, now),
    transitionKind: row.transitionKind === 'starting' ? 'starting' : 'recovering',
    // Null where the attempt failed before it began.
    transitionStartedAt: row.transitionStartedAt ?? now,
    transitionStep: null,
  };
}

function givenUp(row: Lifecycle, failure: StepFailure, now: Date): Partial<Lifecycle> {
  const { code, retryable } = STEP_FAILURES[failure];
  return {
    ...NO_GATEWAY,
    ...NO_TRANSITION,
    ...NO_SLEEP,
    ...because({ code, message: gaveUpMessage(failure), retryable }, now),
    status: 'error',
    errorGeneration: row.powerGeneration,
    stoppedAt: now,
  };
}

function localStop(row: Lifecycle, now: Date): Partial<Lifecycle> {
  const isWanted = row.desiredStatus === 'running' && !isAsleep(row);
  return {
    epoch: row.epoch + 1,
    ...(isWanted && { transitionKind: 'restarting', transitionStartedAt: now, transitionStep: 'draining' }),
  };
}
