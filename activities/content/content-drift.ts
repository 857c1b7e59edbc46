import { findSettled, remedyContent } from '../../database/content/content-drift.ts';
import type { SettledInstance } from '../../database/content/content-drift.ts';
import { loadGatewayContent } from '../../database/content/gateway-content.ts';
import type { GatewayContentRows } from '../../database/content/gateway-content.ts';
import { runTransaction } from '../../database/run-transaction.ts';
import type { Gateway } from '../../runtime/gateway/gateway.ts';
import { wantedSkills } from './skill-content.ts';
import type { StepDeps } from '../steps/step-deps.ts';

/** For one instance: what does not answer is the watcher's to deal with. */
const PATIENCE_MS = 5_000;
/** Of all instances at one look; the others have their turn at the next ones. */
const LOOK_MS = 20_000;
const LIMIT = 200;

/**
 * Compares what running gateways of this node hold with what they should, and has what is missing or too much mended by their
 * reconcilers. Answers how many were not as they should be.
 */
export async function mendContent(deps: StepDeps, signal: AbortSignal): Promise<number> {
  const { orm, nodeId, clock, log } = deps;
  const end = clock().getTime() + LOOK_MS;
  let count = 0;
  for (const instance of await findSettled(orm.em.fork(), { nodeId, limit: LIMIT })) {
    if (signal.aborted || clock().getTime() > end) break;
    const { instanceId, contentGeneration } = instance;
    if (!(await hasDrifted(deps, instance, signal))) continue;
    log.warn({ instanceId }, 'the content of a gateway differs from the database');
    count += Number(await runTransaction(orm.em, (em) => remedyContent(em, { instanceId, contentGeneration })));
  }
  return count;
}

async function hasDrifted(deps: StepDeps, { instanceId, runtimeId }: SettledInstance, signal: AbortSignal): Promise<boolean> {
  const { orm, driver, connections, log } = deps;
  const patience = AbortSignal.any([signal, AbortSignal.timeout(PATIENCE_MS)]);
  try {
    if ((await driver.inspect(runtimeId)).status !== 'running') return false;
    const content = await loadGatewayContent(orm.em.fork(), instanceId);
    return !(await holds(await connections.get(runtimeId, patience), content, patience));
  } catch (err) {
    log.debug({ err, instanceId }, 'the content of a gateway could not be compared with the database');
    return false;
  }
}

/** Whether a gateway holds the agents, secrets and skills that it should, no more and no less. Throws GatewayRequestError. */
export async function holds(gateway: Gateway, content: GatewayContentRows, signal: AbortSignal): Promise<boolean> {
  const agents = await gateway.content.agents(signal);
  const wantedAgents = [...content.agents, ...content.spares].map(({ gatewayAgentId }) => gatewayAgentId);
  const [first] = wantedAgents;
  const hasSecrets = isSame(
    await gateway.secrets.names(),
    content.secrets.map(({ key }) => key),
  );
  // Without any agent of ours the gateway has an idle one that it made itself.
  if (first === undefined || !hasSecrets) return hasSecrets;
  const hasAgents = isSame(agents, wantedAgents);
  return hasAgents && (await gateway.content.hasSkills(wantedSkills(content), first));
}

function isSame(some: readonly string[], others: readonly string[]): boolean {
  return some.length === others.length && new Set([...some, ...others]).size === others.length;
}
