import { releaseGateway } from '../database/instances/lifecycle/finish-stop.ts';
import type { ObservedGateway } from '../domain/observed-gateway.ts';
import { runTransaction } from '../database/run-transaction.ts';
import { throwIfSuperseded } from './steps/run-step.ts';
import type { Attempt } from './steps/run-step.ts';
import type { StepDeps } from './steps/step-deps.ts';

/** How long a gateway may take to end after SIGTERM. It is idle then, and takes about a second. */
const GRACE_MS = 15_000;

/**
 * Takes the gateway out of use, before it is ended: so a death that is ours is never counted as one. Should this
 * attempt not get to its end, the next start ends the gateway instead of adopting it.
 */
export async function retireGateway({ orm }: StepDeps, attempt: Attempt, observed: ObservedGateway | null): Promise<void> {
  const { instanceId, call } = attempt;
  await attempt.enter('stopping_gateway');
  throwIfSuperseded(
    await runTransaction(orm.em, (em) => releaseGateway(em, { instanceId, epoch: call.epoch, observed, killFirst: true })),
  );
}

/** Ends the gateway. Storage stays. */
export async function endGateway({ driver, connections }: StepDeps, { runtimeId, call }: Attempt): Promise<void> {
  await driver.stop(runtimeId, { graceMs: GRACE_MS }, call);
  connections.close(runtimeId);
}
