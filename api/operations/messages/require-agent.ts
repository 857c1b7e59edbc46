import type { AgentGate } from '../../../database/messages/accept-turn.ts';
import { AppError } from '../../../domain/errors.ts';

/** The gate of the account's own agent. Throws `not_found`, also for what is somebody else's. */
export function requireAgent(gate: AgentGate | null, accountId: string): AgentGate {
  if (gate?.accountId !== accountId) throw new AppError('not_found', 'Instance not found');
  if (gate.agentStatus === null) throw new AppError('not_found', 'Agent not found');
  return gate;
}
