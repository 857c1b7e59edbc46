import type { Deps } from '../../deps.ts';
import { findAgent, findInstance } from '../../find-instance.ts';
import { waitForInstance } from '../../wait-for-instance.ts';

/** How long a message waits for an agent that its running instance does not have yet. */
const PATIENCE_MS = 10_000;

interface OwnedAgent {
  accountId: string;
  instanceId: string;
  agentId: string;
}

/**
 * Waits while the agent is pending and its instance runs. Whether the message can be taken then is for acceptTurn to
 * say. Throws `not_found`.
 */
export async function awaitActiveAgent(deps: Deps, agent: OwnedAgent, signal: AbortSignal): Promise<void> {
  const { instanceId } = agent;
  await waitForInstance(deps.notifications, { instanceId, timeoutMs: PATIENCE_MS, signal }, async () => {
    const em = deps.orm.em.fork();
    const instance = await findInstance(em, agent);
    const { status } = await findAgent(em, agent);
    const isRunning = instance.status === 'running' && instance.desiredStatus === 'running';
    return status !== 'pending' || !isRunning ? true : undefined;
  });
}
