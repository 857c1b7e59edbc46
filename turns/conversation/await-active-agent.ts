import type { MikroORM } from '@mikro-orm/postgresql';
import { waitForInstance } from '../../database/instances/wait-for-instance.ts';
import type { Notifications } from '../../database/notifications.ts';
import { holdsMessages, isAsleep } from '../../domain/lifecycle.ts';
import { WAKE_PATIENCE_MS, wakeForCall } from './await-awake.ts';
import { findOwnAgent } from './own-agent.ts';
import type { AgentPlace, ConversationActor } from './own-agent.ts';

/** How long a message waits for an agent that its running instance does not have yet. */
const PATIENCE_MS = 10_000;

interface Deps {
  orm: MikroORM;
  notifications: Notifications;
}

/**
 * Waits while the agent is pending and its instance runs or wakes; a sleeping instance is woken for it. Whether the message can be
 * taken then is for acceptMessage to say. Throws AppError `not_found` and `payment_required`.
 */
export async function awaitActiveAgent(
  { orm, notifications }: Deps,
  actor: ConversationActor,
  place: AgentPlace,
  signal: AbortSignal,
): Promise<void> {
  const { instanceId } = place;
  const first = await findOwnAgent(orm.em.fork(), actor, place);
  if (first.agentStatus !== 'pending') return;
  if (isAsleep(first)) await wakeForCall(orm, { accountId: actor.accountId, instanceId });
  const timeoutMs = holdsMessages(first) ? WAKE_PATIENCE_MS : PATIENCE_MS;
  await waitForInstance(notifications, { instanceId, timeoutMs, signal }, async () => {
    const gate = await findOwnAgent(orm.em.fork(), actor, place);
    const isRunning = (gate.status === 'running' && gate.desiredStatus === 'running') || holdsMessages(gate);
    return gate.agentStatus !== 'pending' || !isRunning ? true : undefined;
  });
}
