import { beginStep, markStep } from '../../database/instances/lifecycle/begin-step.ts';
import type { BegunStep } from '../../database/instances/lifecycle/begin-step.ts';
import { findLifecycle, findRuntimeId } from '../../database/instances/lifecycle/find-lifecycle.ts';
import { claimRuntime } from '../../database/nodes/place-runtime.ts';
import { runTransaction } from '../../database/run-transaction.ts';
import type { StepFailure, StepInterruption } from '../../domain/failures.ts';
import type { WorkingStep } from '../../domain/lifecycle.ts';
import { StaleEpochError } from '../../runtime/driver.ts';
import type { MutationCall } from '../../runtime/driver.ts';
import { findClaimable } from '../pool/find-claimable.ts';
import { failedForSlowness } from '../slow-gateway.ts';
import type { StepDeps } from './step-deps.ts';
import { failureTypeOf, SupersededError, stepFailure } from './step-failure.ts';
import { withHeartbeat } from './with-heartbeat.ts';

/** What every step is told. */
export interface StepInput {
  instanceId: string;
  /** As the target was read. */
  powerGeneration: number;
}

/** An attempt that has made its first write. */
export interface Attempt extends StepInput {
  step: Extract<BegunStep, { kind: 'begun' }>;
  runtimeId: string;
  /** For every change of the runtime. */
  call: MutationCall;
  signal: AbortSignal;
  /** Says what is done now, for `transition.step`. Throws SupersededError. */
  enter(what: string): Promise<void>;
}

/**
 * Runs one attempt of a step: begins it in the database, and gives way to a cancellation, to the drain of this worker
 * and to a newer attempt. Nothing is done when an earlier attempt got to the end. Only failures that say nothing of
 * the instance are left to Temporal to try again. A start whose gateway is only slow is none: the next attempt goes on
 * with the same gateway.
 */
export function runStep(
  deps: StepDeps,
  name: WorkingStep,
  input: StepInput,
  work: (attempt: Attempt) => Promise<void>,
): Promise<void> {
  return withHeartbeat((cancellation) => attemptStep(deps, name, input, { work, cancellation }));
}

async function attemptStep(
  deps: StepDeps,
  name: WorkingStep,
  input: StepInput,
  { work, cancellation }: { work: (attempt: Attempt) => Promise<void>; cancellation: AbortSignal },
): Promise<void> {
  const signal = AbortSignal.any([cancellation, deps.drain]);
  const log = deps.log.child({ instanceId: input.instanceId, step: name });
  let attempt: Attempt | null = null;
  let epoch: number | null = null;
  try {
    signal.throwIfAborted();
    attempt = await begin(deps, name, input, signal);
    if (!attempt) return;
    ({ epoch } = attempt.call);
    log.info({ epoch, powerGeneration: input.powerGeneration }, 'a step has started');
    await work(attempt);
    log.info({ epoch }, 'a step has completed');
  } catch (err) {
    const isSlow = name === 'start' && attempt !== null && (await failedForSlowness(deps, attempt, err).catch(() => false));
    if (cancellation.aborted) throw cancellation.reason;
    if (deps.drain.aborted) throw stepFailure('worker_draining', { epoch, isRetryable: false });
    const type = isSlow ? 'gateway_slow' : await typeOf(deps, attempt, err);
    log[type === 'stale_attempt' ? 'info' : 'warn']({ err, failure: type, epoch }, 'a step did not get to its end');
    throw stepFailure(type, { epoch, isRetryable: type === 'unexpected' });
  }
}

async function begin(deps: StepDeps, name: WorkingStep, input: StepInput, signal: AbortSignal): Promise<Attempt | null> {
  const { orm, clock } = deps;
  const { instanceId } = input;
  const fence = name === 'move' ? await fenceOfTarget(deps, instanceId) : await fenceHere(deps, instanceId);
  const claimable = name === 'start' && fence === 0 ? await findClaimable(deps, signal) : [];
  const step = await runTransaction(orm.em, (em) => beginStep(em, { ...input, step: name, fence, claimable, now: clock() }));
  if (name === 'start' && fence === 0 && step.kind === 'begun') deps.pool?.onStart({ isClaimed: step.isClaimed });
  if (step.kind === 'done') return null;
  if (step.kind === 'superseded') throw new SupersededError('Something else is wanted by now');
  const { epoch, row } = step;
  return {
    ...input,
    step,
    runtimeId: row.runtimeId,
    call: { epoch, signal },
    signal,
    async enter(what) {
      signal.throwIfAborted();
      throwIfSuperseded(await runTransaction(orm.em, (em) => markStep(em, { instanceId, epoch, step: what })));
    },
  };
}

/** The fence of a runtime of this node. Throws SupersededError when it is on another one. */
async function fenceHere(deps: StepDeps, instanceId: string): Promise<number> {
  const { orm, nodeId } = deps;
  if (nodeId !== null && !(await runTransaction(orm.em, (em) => claimRuntime(em, { instanceId, nodeId }))))
    throw new SupersededError('The runtime is on another node');
  return fenceOf(deps, instanceId);
}

/** The fence of the runtime that an instance moves to. Throws SupersededError when it does not move to this node. */
async function fenceOfTarget({ orm, driver, nodeId }: StepDeps, instanceId: string): Promise<number> {
  const row = await findLifecycle(orm.em.fork(), instanceId, { lock: false });
  if (!row || row.moveRuntimeId === null || row.moveNode !== nodeId) throw new SupersededError('It moves to another node');
  return driver.fenceOf(row.moveRuntimeId);
}

/** The highest epoch that has changed the runtime of this instance; 0 when none has. */
export async function fenceOf({ orm, driver }: Pick<StepDeps, 'orm' | 'driver'>, instanceId: string): Promise<number> {
  const runtimeId = await findRuntimeId(orm.em.fork(), instanceId);
  return runtimeId === null ? 0 : driver.fenceOf(runtimeId);
}

/**
 * What ended an attempt. A runtime that refuses the epoch of the attempt that the database holds for the newest is
 * changed by something that this database knows nothing of.
 */
async function typeOf({ orm }: StepDeps, attempt: Attempt | null, err: unknown): Promise<StepFailure | StepInterruption> {
  if (!(err instanceof StaleEpochError) || !attempt) return failureTypeOf(err);
  const row = await findLifecycle(orm.em.fork(), attempt.instanceId, { lock: false }).catch(() => null);
  return row?.epoch === attempt.call.epoch ? 'fenced' : failureTypeOf(err);
}

/** Throws SupersededError when a guarded write met no row. */
export function throwIfSuperseded(isOurs: boolean): void {
  if (!isOurs) throw new SupersededError('A newer attempt has begun');
}
