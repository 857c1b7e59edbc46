import { noteGatewayAddress } from '../database/instances/gateway-address.ts';
import { publishRunning } from '../database/instances/lifecycle/publish-running.ts';
import type { PublishOutcome } from '../database/instances/lifecycle/publish-running.ts';
import { runTransaction } from '../database/run-transaction.ts';
import type { StepDeps } from './steps/step-deps.ts';

interface Publication {
  instanceId: string;
  runtimeId: string;
  powerGeneration: number;
  /** Of the attempt that publishes it. */
  epoch: number;
  bootId: string;
  /** What the gateway holds. */
  contentGeneration: number;
}

/** Lets a gateway take messages, notes where it listens, and opens the meter, in one transaction. */
export async function publishGateway(deps: StepDeps, publication: Publication): Promise<PublishOutcome> {
  const { orm, driver, makeId } = deps;
  const { runtimeId, ...published } = publication;
  const { instanceId, bootId } = published;
  const endpoint = await driver.endpoint(runtimeId);
  return runTransaction(orm.em, async (em) => {
    const outcome = await publishRunning(em, { ...published, intervalId: makeId('int') });
    if (outcome === 'published' && endpoint)
      await noteGatewayAddress(em, instanceId, { bootId, wsUrl: endpoint.wsUrl, peer: endpoint.peer });
    return outcome;
  });
}
