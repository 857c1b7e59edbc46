import { Context } from '@temporalio/activity';
import { findDrift, findOwners, findRunning, noteLostGateway, tidyUp } from '../database/queries/find-drift.ts';
import { wakeQueued } from '../database/queries/slots.ts';
import { wakeInstance } from '../database/queries/wake-instance.ts';
import { runTransaction } from '../database/run-transaction.ts';
import type { RuntimeState } from '../runtime/driver.ts';
import { mendContent } from './content-drift.ts';
import { runQuery } from './run-step.ts';
import type { StepDeps } from './step-deps.ts';

const HEARTBEAT_MS = 1_000;
/** A runtime is made before its row could be missed, but a clock may be off. */
const LEAST_AGE_MS = 10 * 60_000;
/** Whoever watches a gateway has noted its death long before. */
const LEAST_DEAD_MS = 60_000;

/** How much a sweep found. */
export interface Sweep {
  woken: number;
  destroyed: number;
  /** Gateways that are given their content once more. */
  mended: number;
}

/**
 * Looks for what nobody works on: instances that are not as they are wanted are woken, and runtimes that no instance
 * owns are destroyed. It finds what a lost outbox row, a lost worker or a restored database leaves behind.
 */
export async function sweepDrift(deps: StepDeps): Promise<Sweep> {
  const { cancellationSignal, heartbeat } = Context.current();
  const signal = AbortSignal.any([cancellationSignal, deps.drain]);
  const beat = setInterval(() => heartbeat(), HEARTBEAT_MS);
  try {
    return await runQuery(deps, 'sweepDrift', () => sweep(deps, signal));
  } finally {
    clearInterval(beat);
  }
}

async function sweep(deps: StepDeps, signal: AbortSignal): Promise<Sweep> {
  const { orm, driver, config, log } = deps;
  await tidyUp(orm.em.fork());
  const runtimes = await driver.list();
  const lost = await noteLost(deps, runtimes);
  const woken = lost + (await wake(deps, await findDrift(orm.em.fork())));
  await runTransaction(orm.em, (em) => wakeQueued(em, config.MAX_RUNNING));
  const destroyed = await destroyOrphans(deps, runtimes, signal);
  const mended = await mendContent(deps, signal);
  if (woken + destroyed + mended > 0) log.info({ woken, lost, destroyed, mended }, 'a sweep found drift');
  return { woken, destroyed, mended };
}

async function wake({ orm }: StepDeps, instanceIds: readonly string[]): Promise<number> {
  await runTransaction(orm.em, async (em) => {
    for (const instanceId of instanceIds) await wakeInstance(em, instanceId);
  });
  return instanceIds.length;
}

/** Deaths are noted by whoever watches; this finds those that nobody has watched. */
async function noteLost({ orm, driver, clock, log }: StepDeps, runtimes: readonly RuntimeState[]): Promise<number> {
  const alive = new Set(runtimes.filter(({ status }) => status === 'running').map(({ runtimeId }) => runtimeId));
  let count = 0;
  for (const row of await findRunning(orm.em.fork())) {
    if (alive.has(row.runtimeId)) continue;
    const { status } = await driver.inspect(row.runtimeId);
    const exit = await driver.exitOf(row.runtimeId);
    if (status === 'running' || (exit && clock().getTime() - exit.at.getTime() < LEAST_DEAD_MS)) continue;
    if (!(await runTransaction(orm.em, (em) => noteLostGateway(em, row, exit?.at ?? null)))) continue;
    log.warn({ instanceId: row.instanceId }, 'a gateway had ended without anybody noting it');
    count += 1;
  }
  return count;
}

/** Compute and storage whose instance is gone, or never was. */
async function destroyOrphans(
  { orm, driver, clock, log }: StepDeps,
  runtimes: readonly RuntimeState[],
  signal: AbortSignal,
): Promise<number> {
  const owners = await findOwners(
    orm.em.fork(),
    runtimes.map(({ runtimeId }) => runtimeId),
  );
  const isGone = new Map(owners.map((owner) => [owner.runtimeId, owner.isGone]));
  const isYoung = ({ startedAt }: RuntimeState) => startedAt !== null && clock().getTime() - startedAt.getTime() < LEAST_AGE_MS;
  let count = 0;
  for (const runtime of runtimes) {
    if (isGone.get(runtime.runtimeId) === false || isYoung(runtime)) continue;
    log.warn({ runtimeId: runtime.runtimeId }, 'a runtime that no instance owns is destroyed');
    await driver.destroy(runtime.runtimeId, { epoch: Number.MAX_SAFE_INTEGER, signal });
    count += 1;
  }
  return count;
}
