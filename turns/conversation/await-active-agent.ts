import type { MikroORM } from '@mikro-orm/postgresql';
import { waitForInstance } from '../../database/instances/wait-for-instance.ts';
import type { Notifications } from '../../database/notifications.ts';
import { findOwnAgent } from './own-agent.ts';
import type { AgentPlace, ConversationActor } from './own-agent.ts';

/** How long a message waits for an agent that its running instance does not have yet. */
const PATIENCE_MS = 10_000;

interface Deps {
  orm: MikroORM;
  notifications: Notifications;
}

/**
 * Waits while the agent is pending and its instance runs. Whether the message can be taken then is for acceptMessage to
 * say. Throws AppError `not_found`.
 */
export async function awaitActiveAgent(
  { orm, notifications }: Deps,
  actor: ConversationActor,
  place: AgentPlace,
  signal: AbortSignal,
): Promise<void> {
  const { instanceId } = place;
  await waitForInstance(notifications, { instanceId, timeoutMs: PATIENCE_MS, signal }, async () => {
    const { agentStatus, status, desiredStatus } = await findOwnAgent(orm.em.fork(), actor, place);
    const isRunning = status === 'running' && desiredStatus === 'running';
    return agentStatus !== 'pending' || !isRunning ? true : undefined;
  });
}
