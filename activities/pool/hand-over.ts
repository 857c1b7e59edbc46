import { noteOffers } from '../../database/content/model-offers.ts';
import { findLifecycle } from '../../database/instances/lifecycle/find-lifecycle.ts';
import { beginClaimedStart } from '../../database/pool/begin-claimed-start.ts';
import type { BegunClaim } from '../../database/pool/begin-claimed-start.ts';
import { findSpares } from '../../database/pool/spare-agents.ts';
import { converged } from '../../domain/lifecycle.ts';
import { offersDigest } from '../../lib/settings/model-offer.ts';
import { findClaimable } from './find-claimable.ts';
import { memberSpec } from './pool-recipe.ts';
import { publishGateway } from '../publish-gateway.ts';
import { fenceOf } from '../steps/run-step.ts';
import type { StepDeps } from '../steps/step-deps.ts';

/**
 * Starts an instance for the first time with a ready gateway of this node, without its reconciler: the gateway runs and is
 * configured, so there is nothing in it to wait for. Answers whether nothing is left to do for the instance. When it is not, and
 * whatever it throws, the reconciler goes on: with the claimed gateway, or, when none was claimed, as without a pool.
 */
export async function handOver(deps: StepDeps, instanceId: string, signal: AbortSignal): Promise<boolean> {
  const claim = await claimFor(deps, instanceId, signal);
  if (!claim) return false;
  const { orm, log } = deps;
  log.info({ instanceId, runtimeId: claim.runtimeId }, 'an instance takes a gateway of the pool');
  if (!(await publishClaimed(deps, instanceId, claim, signal))) return false;
  const row = await findLifecycle(orm.em.fork(), instanceId, { lock: false });
  return row !== null && converged(row);
}

async function claimFor(deps: StepDeps, instanceId: string, signal: AbortSignal): Promise<BegunClaim | null> {
  const { orm, nodeId, clock, config, pool } = deps;
  // An instance that this database does not know to have run may have storage all the same, after a restore.
  if (!pool || nodeId === null || (await fenceOf(deps, instanceId)) > 0) return null;
  const claimable = await findClaimable(deps, signal);
  if (claimable.length === 0) return null;
  const { MAX_RUNNING: maxRunning } = config;
  const claim = await beginClaimedStart(orm, { instanceId, nodeId, claimable, maxRunning, now: clock() });
  if (claim) pool.onStart({ isClaimed: true });
  return claim;
}

/** False when something else is wanted by now. */
async function publishClaimed(
  deps: StepDeps,
  instanceId: string,
  { runtimeId, epoch, powerGeneration }: BegunClaim,
  signal: AbortSignal,
): Promise<boolean> {
  const { orm, driver, connections, config } = deps;
  const spares = await findSpares(orm.em.fork(), runtimeId);
  const raiseFence = () => driver.writeConfig(memberSpec(deps, runtimeId, spares), { epoch, signal });
  const connect = async () => {
    const gateway = await connections.get(runtimeId, signal);
    // That it takes turns its spare agents have just shown. A proof would cost a second: it goes through the database of each of them.
    await gateway.content.agents(signal);
    return gateway;
  };
  const [{ bootId }] = await Promise.all([
    connect(),
    // Nothing is written when it is there, but from now on no other database may give this gateway away: see isUsable.
    raiseFence(),
    noteOffers(orm.em.fork(), { instanceId, epoch, offers: offersDigest(config) }),
  ]);
  // What was added to the instance meanwhile is another step's.
  const published = { instanceId, runtimeId, powerGeneration, epoch, bootId, contentGeneration: 0 };
  return (await publishGateway(deps, published)) === 'published';
}
