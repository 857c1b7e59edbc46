import { defineSearchAttributeKey } from '@temporalio/common';
import {
  CancellationScope,
  condition,
  defineSignal,
  makeContinueAsNewFunc,
  patched,
  setCurrentDetails,
  setHandler,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import type { Target } from '../activities/read-target.ts';
import type { WorkingStep } from '../domain/lifecycle.ts';
import { WAKE_SIGNAL } from '../domain/temporal/workflow-ids.ts';
import { bookkeepingOn, reads, stepsOn } from './proxy-activities.ts';
import { outcomeOf } from './step-outcome.ts';
import type { StepOutcome } from './step-outcome.ts';

const wake = defineSignal(WAKE_SIGNAL);

const ACCOUNT_ID = defineSearchAttributeKey('AccountId', 'KEYWORD');
const INSTANCE_ID = defineSearchAttributeKey('InstanceId', 'KEYWORD');
const OPERATION = defineSearchAttributeKey('Operation', 'KEYWORD');

/** A start that fails so often in a row is given up, and so is content that a gateway refuses. */
const LAST_FAILURE = 5;
/** Anything else goes on for ever, but not in one run: a sweep wakes it again. */
const FAILURES_OF_A_RUN = 10;
/** A run that has more to do begins anew, with a short history and, where the server offers that, the newest code. */
const ROUNDS_OF_A_RUN = 200;
/** Runs from before that did not: their histories are replayed as they were. */
const BEGINS_ANEW = 'long-runs-begin-anew';
const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 60_000;

interface Work extends Target {
  step: WorkingStep;
}

/** Whether a signal came since the last look. */
interface Bell {
  rang: boolean;
}

/**
 * Brings one instance from what is to what is wanted, one step after the other, and ends when nothing is left to do.
 * What is wanted stands in the database only: a signal has no payload and only causes another look. Only one run of an
 * instance is open at a time, so no other run works on it. However much there is to do, no run grows without end.
 */
export async function reconcileInstance({ instanceId }: { instanceId: string }): Promise<void> {
  const bell: Bell = { rang: true };
  setHandler(wake, () => {
    bell.rang = true;
  });
  const setbacks = new Setbacks();
  // No await between the last look at the bell and the end: a signal that comes with the end starts another round.
  for (let rounds = 0; bell.rang; rounds += 1) {
    const isLong = rounds >= ROUNDS_OF_A_RUN || workflowInfo().continueAsNewSuggested;
    if (isLong && patched(BEGINS_ANEW)) await beginAnew({ instanceId });
    bell.rang = false;
    const target = await reads.readTarget({ instanceId });
    if (target.step === 'none') continue;
    if (target.step === 'wait') await condition(() => bell.rang, target.waitMs);
    else {
      const work: Work = { ...target, step: target.step };
      announce(instanceId, work, setbacks.failures);
      const outcome = await takeStep(instanceId, work, bell);
      const pauseMs = setbacks.after(work, outcome);
      if (outcome.kind === 'failed') await recordFailure(instanceId, work, outcome, setbacks.failures);
      if (pauseMs > 0) await condition(() => bell.rang, pauseMs);
      if (setbacks.failures >= FAILURES_OF_A_RUN && !bell.rang) break;
    }
    bell.rang = true;
  }
  setCurrentDetails(`Nothing more to do for ${instanceId}.`);
}

/** It looks again at once, so nothing that was asked for meanwhile is lost. */
const beginAnew = makeContinueAsNewFunc<typeof reconcileInstance>({ initialVersioningBehavior: 'AUTO_UPGRADE' });

/** Runs one step, and cancels it as soon as a start, stop or destroy was accepted that is newer. */
async function takeStep(instanceId: string, { step, powerGeneration, nodeId }: Work, bell: Bell): Promise<StepOutcome> {
  const scope = new CancellationScope();
  let isOver = false;
  const work = scope.run(() => stepsOn(nodeId)[step]({ instanceId, powerGeneration }));
  const watch = async () => {
    for (;;) {
      await condition(() => bell.rang || isOver);
      if (isOver) return;
      bell.rang = false;
      if ((await reads.readPowerGeneration({ instanceId })) <= powerGeneration) continue;
      return scope.cancel();
    }
  };
  const watched = watch();
  try {
    await work;
    return { kind: 'done' };
  } catch (error) {
    if (CancellationScope.current().consideredCancelled) throw error;
    return outcomeOf(error);
  } finally {
    isOver = true;
    await watched;
  }
}

async function recordFailure(
  instanceId: string,
  { step, powerGeneration, contentGeneration, nodeId }: Work,
  { failure, epoch }: Extract<StepOutcome, { kind: 'failed' }>,
  failures: number,
): Promise<void> {
  const isLast = failures >= LAST_FAILURE;
  const failed = { instanceId, powerGeneration, contentGeneration, step, failure, epoch, isLast };
  await bookkeepingOn(nodeId).recordStepFailure(failed);
}

/** How often steps went wrong in a row, for one wish of the customer. */
class Setbacks {
  failures = 0;
  #interruptions = 0;
  #of = '';

  /** Counts an outcome and answers how long to wait before the next step. Starts have their pauses in the database. */
  after({ step, powerGeneration }: Work, { kind }: StepOutcome): number {
    const wish = `${step} ${powerGeneration}`;
    if (this.#of !== wish || kind === 'done') this.failures = 0;
    this.#of = wish;
    this.#interruptions = kind === 'interrupted' ? this.#interruptions + 1 : 0;
    if (kind === 'interrupted') return this.#interruptions > 1 ? FIRST_PAUSE_MS : 0;
    if (kind !== 'failed') return 0;
    this.failures += 1;
    return step === 'start' ? 0 : Math.min(FIRST_PAUSE_MS * 2 ** (this.failures - 1), LONGEST_PAUSE_MS);
  }
}

/** What operators see of the run in the Temporal Web UI. */
function announce(instanceId: string, { step, accountId, powerGeneration }: Work, failures: number): void {
  upsertSearchAttributes([
    { key: ACCOUNT_ID, value: accountId },
    { key: INSTANCE_ID, value: instanceId },
    { key: OPERATION, value: step },
  ]);
  const since = new Date().toISOString();
  setCurrentDetails(`Step ${step} of ${instanceId} since ${since}, power generation ${powerGeneration}, failures ${failures}.`);
}
