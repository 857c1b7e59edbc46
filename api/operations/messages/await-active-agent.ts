import type { Deps } from '../../deps.ts';
import { findAgentGate } from '../../../database/messages/accept-turn.ts';
import { requireAgent } from './require-agent.ts';
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
    const gate = requireAgent(await findAgentGate(deps.orm.em.fork(), instanceId, agent.agentId), agent.accountId);
    const isRunning = gate.status === 'running' && gate.desiredStatus === 'running';
    return gate.agentStatus !== 'pending' || !isRunning ? true : undefined;
  });
}
