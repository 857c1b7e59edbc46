import { setTimeout as sleep } from 'node:timers/promises';
import { defaultModel, memberSpec } from '../../activities/pool/pool-recipe.ts';
import { addMember, FIRST_EPOCH } from '../../database/pool/add-member.ts';
import type { SpareAgent } from '../../database/pool/add-member.ts';
import { markReady } from '../../database/pool/members.ts';
import { runTransaction } from '../../database/run-transaction.ts';
import { makeGatewayAgentId } from '../../domain/ids.ts';
import { waitUntilReady } from '../../runtime/engine.ts';
import { GatewayDiedError } from '../../runtime/gateway/gateway-errors.ts';
import { endMember } from './end-member.ts';
import type { PoolDeps } from './pool-deps.ts';
import { warmUp } from './warm-up.ts';

/** Of each gateway. The first agents of an instance take them. */
const SPARES = 2;
/** As for the start of an instance. */
const LONGEST_MS = 5 * 60_000;
const ENDING_MS = 30_000;
const LOOK_MS = 250;

/** A customer's start waits, or has begun while memory or CPU time are short. */
class GaveWayError extends Error {}

/**
 * Adds a gateway to the pool and makes it ready. `full`: there is no room for it. `gave-way`: a start of an instance needs the
 * machine. Nothing of it is left unless it is ready. Throws what its start fails with.
 */
export async function startMember(deps: PoolDeps, recipe: string, signal: AbortSignal): Promise<'ready' | 'full' | 'gave-way'> {
  const { orm, driver, nodeId, config, makeId, log, clock } = deps;
  const runtimeId = makeId('run');
  const spares = makeSpares(deps);
  const pin = await driver.pin();
  const member = { runtimeId, nodeId, recipe, size: config.POOL_SIZE, driver: driver.kind, pin, spares };
  if (!(await runTransaction(orm.em, (em) => addMember(em, member)))) return 'full';
  const beganAt = clock().getTime();
  const over = new AbortController();
  try {
    const call = AbortSignal.any([signal, over.signal, AbortSignal.timeout(LONGEST_MS)]);
    await Promise.race([giveWay(deps, call), makeReady(deps, { runtimeId, spares }, call)]);
    if (!(await markReady(orm.em.fork(), { runtimeId, epoch: FIRST_EPOCH })))
      throw new Error('another worker has taken the pool over');
    log.info({ runtimeId, ms: clock().getTime() - beganAt }, 'a gateway of the pool is ready');
    return 'ready';
  } catch (error) {
    over.abort(error);
    const because = error instanceof GaveWayError ? 'gave-way' : 'failed';
    await endMember(
      deps,
      { runtimeId, state: 'warming', epoch: FIRST_EPOCH },
      { because, signal: AbortSignal.timeout(ENDING_MS) },
    );
    if (error instanceof GaveWayError) return 'gave-way';
    throw error;
  } finally {
    over.abort();
  }
}

function makeSpares({ config, makeId }: PoolDeps): SpareAgent[] {
  const model = defaultModel({ config });
  if (model === undefined) return [];
  return Array.from({ length: SPARES }, () => ({ id: makeId('agt'), gatewayAgentId: makeGatewayAgentId(makeId), model }));
}

/** Never resolves: rejects when the machine is needed for a customer's start, and when the signal is aborted. */
async function giveWay({ startPace }: PoolDeps, signal: AbortSignal): Promise<never> {
  for (;;) {
    if (startPace.state() === 'waiting') throw new GaveWayError();
    await sleep(LOOK_MS, undefined, { signal });
  }
}

interface Starting {
  runtimeId: string;
  spares: readonly SpareAgent[];
}

async function makeReady(deps: PoolDeps, { runtimeId, spares }: Starting, signal: AbortSignal): Promise<void> {
  const { driver, connections } = deps;
  await driver.ensureRunning(memberSpec(deps, runtimeId, spares), { epoch: FIRST_EPOCH, signal });
  await driver.giveWay?.(runtimeId, true);
  const endpoint = await driver.endpoint(runtimeId);
  if (!endpoint) throw new GatewayDiedError(await driver.exitOf(runtimeId));
  await waitUntilReady(endpoint, {
    signal,
    deadlineMs: LONGEST_MS,
    isAlive: async () => (await driver.inspect(runtimeId)).status === 'running',
    exitOf: () => driver.exitOf(runtimeId),
  });
  const gateway = await connections.get(runtimeId, signal);
  // The first one last: a gateway holds ready what a turn needs for the agent of its last turn only.
  for (const spare of spares.toReversed()) await warmUp({ ...deps, gateway, spare, now: deps.clock(), signal });
  await driver.giveWay?.(runtimeId, false);
}
