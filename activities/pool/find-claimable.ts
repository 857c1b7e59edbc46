import { setTimeout as sleep } from 'node:timers/promises';
import { findMembers } from '../../database/pool/members.ts';
import type { Member } from '../../database/pool/members.ts';
import { poolRecipe } from './pool-recipe.ts';
import type { StepDeps } from '../steps/step-deps.ts';

/** A member that is kept warm is ready again within a second. */
const PATIENCE_MS = 2_000;
const POLL_MS = 50;

/**
 * The members of the pool of this node that a new instance may take: their gateways run, are what would be started now, and were
 * changed by the pool alone, so that after a restore of the database no instance gets the storage of another one.
 */
export async function findClaimable(deps: StepDeps, signal: AbortSignal): Promise<string[]> {
  const { orm, nodeId, pool } = deps;
  if (!pool || nodeId === null) return [];
  const recipe = await poolRecipe(deps);
  const giveUp = AbortSignal.timeout(PATIENCE_MS);
  for (;;) {
    const members = (await findMembers(orm.em.fork(), nodeId)).filter((member) => member.recipe === recipe);
    const usable: string[] = [];
    for (const member of members) if (await isUsable(deps, member)) usable.push(member.runtimeId);
    const isOneSoon = members.some(({ state, wasReady }) => state === 'warming' && wasReady);
    if (usable.length > 0 || !isOneSoon || giveUp.aborted) return usable;
    await sleep(POLL_MS, undefined, { signal });
  }
}

async function isUsable({ driver }: StepDeps, { runtimeId, state, epoch }: Member): Promise<boolean> {
  if (state !== 'ready' || (await driver.inspect(runtimeId)).status !== 'running') return false;
  return (await driver.fenceOf(runtimeId)) === epoch;
}
