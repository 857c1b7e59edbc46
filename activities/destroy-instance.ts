import { finishDestroy, removeInstanceData } from '../database/instances/lifecycle/remove-instance.ts';
import { proveEnd } from '../database/billing/intervals.ts';
import { runTransaction } from '../database/run-transaction.ts';
import { throwIfSuperseded, runStep } from './steps/run-step.ts';
import type { StepInput } from './steps/run-step.ts';
import type { StepDeps } from './steps/step-deps.ts';
import { observeGateway } from '../runtime/observe-gateway.ts';

/** Destroys an instance: compute, storage and what the database holds of it. Its turns end without an event. */
export function destroyInstance(deps: StepDeps, input: StepInput): Promise<void> {
  return runStep(deps, 'destroy', input, async (attempt) => {
    const { orm, driver, connections, config } = deps;
    const { instanceId, runtimeId, call, signal, step } = attempt;
    await attempt.enter('destroying_runtime');
    const observed = await observeGateway(driver, runtimeId);
    const { bootId } = step.row;
    if (observed && bootId !== null)
      await proveEnd(orm.em.fork(), { instanceId, bootId, diedAt: observed.isAlive ? null : observed.diedAt });
    connections.close(runtimeId);
    await driver.destroy(runtimeId, call);
    await attempt.enter('deleting_data');
    await removeInstanceData(orm.em.fork(), instanceId, signal);
    const options = { instanceId, epoch: call.epoch, maxRunning: config.MAX_RUNNING };
    throwIfSuperseded(await runTransaction(orm.em, (em) => finishDestroy(em, options)));
  });
}
