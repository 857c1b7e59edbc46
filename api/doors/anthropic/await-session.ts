import { waitForInstance } from '../../../database/instances/wait-for-instance.ts';
import { findOwnAgent } from '../../../turns/conversation/own-agent.ts';
import type { AgentPlace, ConversationActor } from '../../../turns/conversation/own-agent.ts';
import type { Deps } from '../../deps.ts';

/** How long a message waits for an environment that starts, and for an agent that was made with its session. */
const PATIENCE_MS = 300_000;

/**
 * Waits until the environment of this agent runs and has the agent, or will not. Whether a message can be taken then is for
 * acceptMessage to say. Throws AppError `not_found`.
 */
export async function awaitSession(
  { orm, notifications }: Pick<Deps, 'orm' | 'notifications'>,
  actor: ConversationActor,
  place: AgentPlace,
  signal: AbortSignal,
): Promise<void> {
  const { instanceId } = place;
  await waitForInstance(notifications, { instanceId, timeoutMs: PATIENCE_MS, signal }, async () => {
    const { agentStatus, status, desiredStatus } = await findOwnAgent(orm.em.fork(), actor, place);
    const isReady = status === 'running' && agentStatus !== 'pending';
    return isReady || desiredStatus !== 'running' || status === 'error' ? true : undefined;
  });
}
