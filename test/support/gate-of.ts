import type { EntityManager } from '@mikro-orm/postgresql';
import { holdAgentGate } from '../../database/messages/agent-gate.ts';
import type { AgentGate } from '../../database/messages/agent-gate.ts';

/** The gate of an agent that exists, held as a message call holds it. */
export async function gateOf(em: EntityManager, of: { instanceId: string; agentId: string }): Promise<AgentGate> {
  const gate = await holdAgentGate(em, of.instanceId, of.agentId);
  if (!gate) throw new Error('there is no such instance');
  return gate;
}

/** A turn that was sent with no API key, and of which budgets reserve nothing. */
export const UNCOUNTED = { keyId: null, promised: { inputTokens: 0, outputTokens: 0 } };
