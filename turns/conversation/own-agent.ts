import type { EntityManager } from '@mikro-orm/postgresql';
import { findAgentGate, holdAgentGate } from '../../database/messages/agent-gate.ts';
import type { AgentGate, HeldAgentGate } from '../../database/messages/agent-gate.ts';
import { AppError } from '../../domain/errors.ts';
import { seesInstance } from '../../domain/access/key-scopes.ts';
import type { KeyLimits } from '../../domain/access/key-scopes.ts';

/** The account, and the key if there is one, on whose behalf a door acts. */
export interface ConversationActor {
  accountId: string;
  /** The key that was used; null for a token. */
  keyId: string | null;
  /** Of the key that was used. Asked here too, because a door may name the instance elsewhere than in its path. */
  limits: Pick<KeyLimits, 'instanceId'>;
}

/** Which agent is meant, before it is known whose it is. */
export interface AgentPlace {
  instanceId: string;
  agentId: string;
}

/** An agent that was found to be the actor's. Functions on its conversations take this, so that they cannot reach another account's. */
export interface OwnAgent extends AgentGate, AgentPlace {}

/** An own agent whose instance does not start, stop or restart until the transaction ends. */
export interface HeldAgent extends HeldAgentGate, AgentPlace {}

/** The actor's own agent as it is now. Throws AppError `not_found`, also for what is another account's. */
export async function findOwnAgent(em: EntityManager, actor: ConversationActor, place: AgentPlace): Promise<OwnAgent> {
  return requireOwn(await findAgentGate(em, place.instanceId, place.agentId), actor, place);
}

/** The same, and keeps its instance from starting, stopping and restarting until the transaction ends. */
export async function holdOwnAgent(em: EntityManager, actor: ConversationActor, place: AgentPlace): Promise<HeldAgent> {
  return requireOwn(await holdAgentGate(em, place.instanceId, place.agentId), actor, place);
}

function requireOwn<Gate extends AgentGate>(
  gate: Gate | null,
  actor: ConversationActor,
  { instanceId, agentId }: AgentPlace,
): Gate & AgentPlace {
  const isSeen = gate !== null && gate.accountId === actor.accountId && seesInstance(actor.limits, instanceId);
  if (!isSeen) throw new AppError('not_found', 'Instance not found');
  if (gate.agentStatus === null) throw new AppError('not_found', 'Agent not found');
  return { ...gate, instanceId, agentId };
}
