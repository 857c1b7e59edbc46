import { waitForInstance } from '../../../../database/instances/wait-for-instance.ts';
import { holdsMessages, isAsleep } from '../../../../domain/lifecycle.ts';
import { wakeForCall } from '../../../../turns/conversation/await-awake.ts';
import { findOwnAgent } from '../../../../turns/conversation/own-agent.ts';
import type { AgentPlace, ConversationActor, OwnAgent } from '../../../../turns/conversation/own-agent.ts';
import type { Deps } from '../../../deps.ts';

/** How long a message waits for an environment that starts, and for an agent that was made with its session. */
const PATIENCE_MS = 300_000;

/**
 * Waits until the environment of this agent runs and has the agent, or will not; one that sleeps holds the message
 * itself, and is woken for an agent that it does not have. Whether a message can be taken then is for
 * acceptMessage to say. Throws AppError `not_found` and `payment_required`.
 */
export async function awaitSession(
  { orm, notifications }: Pick<Deps, 'orm' | 'notifications'>,
  actor: ConversationActor,
  place: AgentPlace,
  signal: AbortSignal,
): Promise<void> {
  const { instanceId } = place;
  const first = await findOwnAgent(orm.em.fork(), actor, place);
  if (isReady(first)) return;
  if (first.agentStatus === 'pending' && isAsleep(first)) await wakeForCall(orm, { accountId: actor.accountId, instanceId });
  await waitForInstance(notifications, { instanceId, timeoutMs: PATIENCE_MS, signal }, async () => {
    const gate = await findOwnAgent(orm.em.fork(), actor, place);
    return isReady(gate) || gate.desiredStatus !== 'running' || gate.status === 'error' ? true : undefined;
  });
}

function isReady(agent: OwnAgent): boolean {
  return (agent.status === 'running' || holdsMessages(agent)) && agent.agentStatus !== 'pending';
}
