import { renewOffers } from '../../database/content/model-offers.ts';
import { findDrift, findRunning, noteLostGateway, tidyUp } from '../../database/instances/find-drift.ts';
import { addUpStoredBytes } from '../../database/accounts/stored-bytes.ts';
import { endSuspension, findSuspended } from '../../database/instances/sleep/suspended.ts';
import { wakeQueued } from '../../database/instances/slots.ts';
import { wakeInstance } from '../../database/instances/sleep/wake-instance.ts';
import { adoptRuntimes } from '../../database/nodes/adopt-runtimes.ts';
import { runTransaction } from '../../database/run-transaction.ts';
import type { RuntimeState } from '../../runtime/driver.ts';
import { offersDigest } from '../../lib/settings/model-offer.ts';
import { mendContent } from './content-drift.ts';
import { noteAddresses } from '../note-addresses.ts';
import { runRetryable } from '../steps/run-retryable.ts';
import type { StepDeps } from '../steps/step-deps.ts';
import { sweepRuntimes } from '../sweep-runtimes.ts';
import type { RuntimeSweep } from '../sweep-runtimes.ts';
import { withHeartbeat } from '../steps/with-heartbeat.ts';

/** A worker that watches a gateway notes its death long before this. */
const LEAST_DEAD_MS = 60_000;
/** Gateways that learn of changed offers of models at one sweep. */
const RENEWED_AT_ONCE = 200;

/** How much a sweep found. */
export interface Sweep extends RuntimeSweep {
  woken: number;
  /** Gateways that are given their content once more. */
  mended: number;
}

/**
 * Looks for what no workflow works on: instances that are not as they are wanted are woken, and runtimes of this node whose
 * instance is gone are tidied up. It finds what a lost outbox row, a lost worker or a restored database leaves behind.
 */
export function sweepDrift(deps: StepDeps): Promise<Sweep> {
  return withHeartbeat((cancellation) =>
    runRetryable(deps, 'sweepDrift', () => sweep(deps, AbortSignal.any([cancellation, deps.drain]))),
  );
}

async function sweep(deps: StepDeps, signal: AbortSignal): Promise<Sweep> {
  const { orm, driver, nodeId, config, log } = deps;
  await tidyUp(orm.em.fork());
  const runtimes = await driver.list();
  if (nodeId !== null) await adopt(deps, nodeId, runtimes);
  const lost = (await noteLost(deps, runtimes)) + (await noteLostSleepers(deps, runtimes));
  await noteAddresses(deps);
  const woken = lost + (await wake(deps, await findDrift(orm.em.fork())));
  await runTransaction(orm.em, (em) => wakeQueued(em, config.MAX_RUNNING));
  const swept = await sweepRuntimes(deps, runtimes, signal);
  const renewed = await renewOffers(orm.em.fork(), { offers: offersDigest(config), limit: RENEWED_AT_ONCE });
  if (renewed > 0) log.info({ renewed }, 'MODELS or PROVIDERS have changed: running gateways are told');
  const mended = await mendContent(deps, signal);
  // Last: nothing of the above may wait for it.
  await addUpStoredBytes(orm.em.fork(), signal);
  const result = { ...swept, woken, mended };
  if (Object.values(result).some((count) => count > 0)) log.info({ ...result, lost }, 'the drift sweep found differences');
  return result;
}

async function adopt({ orm, log }: StepDeps, nodeId: number, runtimes: readonly RuntimeState[]): Promise<void> {
  const found = runtimes.map(({ runtimeId }) => runtimeId);
  const adopted = await runTransaction(orm.em, (em) => adoptRuntimes(em, nodeId, found));
  if (adopted > 0)
    log.warn({ adopted }, 'runtimes are on this node now, because it has their storage and their node has no worker');
}

async function wake({ orm }: StepDeps, instanceIds: readonly string[]): Promise<number> {
  await runTransaction(orm.em, async (em) => {
    for (const instanceId of instanceIds) await wakeInstance(em, instanceId);
  });
  return instanceIds.length;
}

/** Of gateways of this node: the driver knows no other. The worker that watches a gateway notes its death; this finds deaths that no worker saw. */
async function noteLost({ orm, driver, nodeId, clock, log }: StepDeps, runtimes: readonly RuntimeState[]): Promise<number> {
  const alive = new Set(runtimes.filter(({ status }) => status === 'running').map(({ runtimeId }) => runtimeId));
  let count = 0;
  for (const row of await findRunning(orm.em.fork(), nodeId)) {
    if (alive.has(row.runtimeId)) continue;
    const { status } = await driver.inspect(row.runtimeId);
    const exit = await driver.exitOf(row.runtimeId);
    if (status === 'running' || (exit && clock().getTime() - exit.at.getTime() < LEAST_DEAD_MS)) continue;
    if (!(await runTransaction(orm.em, (em) => noteLostGateway(em, row, exit?.at ?? null)))) continue;
    log.warn({ instanceId: row.instanceId }, 'a gateway had exited, and its death was not recorded');
    count += 1;
  }
  return count;
}

/** Of this node too: suspended gateways that were killed, or that a restart of the machine has ended. No watch of this worker sees these. */
async function noteLostSleepers({ orm, driver, nodeId, log }: StepDeps, runtimes: readonly RuntimeState[]): Promise<number> {
  const suspended = new Set(runtimes.filter(({ status }) => status === 'suspended').map(({ runtimeId }) => runtimeId));
  let count = 0;
  for (const { instanceId, runtimeId } of await findSuspended(orm.em.fork(), nodeId)) {
    if (suspended.has(runtimeId) || (await driver.inspect(runtimeId)).status === 'suspended') continue;
    if (!(await runTransaction(orm.em, (em) => endSuspension(em, instanceId)))) continue;
    log.info({ instanceId }, 'the suspended gateway of a sleeper is gone; its next start is a cold one');
    count += 1;
  }
  return count;
}
