import { applyContent } from './content/apply-content.ts';
import { destroyInstance } from './destroy-instance.ts';
import { moveInstance } from './moves/move-instance.ts';
import { moveSome } from './moves/move-some.ts';
import type { MoveSome } from './moves/move-some.ts';
import { vacateInstance } from './moves/vacate-instance.ts';
import { readNodes, readPowerGeneration, readTarget } from './read-target.ts';
import { recordStepFailure } from './steps/record-step-failure.ts';
import type { FailedStep } from './steps/record-step-failure.ts';
import { restartInstance } from './restart-instance.ts';
import type { StepInput } from './steps/run-step.ts';
import { sleepInstance } from './sleep-instance.ts';
import { startInstance } from './start-instance.ts';
import type { StepDeps } from './steps/step-deps.ts';
import { stopInstance } from './stop-instance.ts';
import { sweepBilling } from './sweep-billing.ts';
import { sweepDrift } from './content/sweep-drift.ts';

/** Everything that workflows do to the world, by the names under which Temporal knows it. */
export function createActivities(deps: StepDeps) {
  return {
    readTarget: (input: { instanceId: string }) => readTarget(deps, input),
    readPowerGeneration: (input: { instanceId: string }) => readPowerGeneration(deps, input),
    readNodes: () => readNodes(deps),
    startInstance: (input: StepInput) => startInstance(deps, input),
    stopInstance: (input: StepInput) => stopInstance(deps, input),
    destroyInstance: (input: StepInput) => destroyInstance(deps, input),
    restartInstance: (input: StepInput) => restartInstance(deps, input),
    sleepInstance: (input: StepInput) => sleepInstance(deps, input),
    vacateInstance: (input: StepInput) => vacateInstance(deps, input),
    moveInstance: (input: StepInput) => moveInstance(deps, input),
    moveSome: (input: MoveSome) => moveSome(deps, input),
    applyContent: (input: StepInput) => applyContent(deps, input),
    recordStepFailure: (input: FailedStep) => recordStepFailure(deps, input),
    sweepDrift: () => sweepDrift(deps),
    sweepBilling: () => sweepBilling(deps),
  };
}

export type Activities = ReturnType<typeof createActivities>;
