import { runTransaction } from '../../database/run-transaction.ts';
import { NO_LIMITS } from '../../domain/access/key-scopes.ts';
import { abortCancelled, cancelMessage } from '../../turns/conversation/cancel-message.ts';
import { findOwnAgent } from '../../turns/conversation/own-agent.ts';
import type { AgentPlace } from '../../turns/conversation/own-agent.ts';
import type { GatewayConnections } from '../../runtime/gateway-connections.ts';
import type { TurnDeps } from '../../turns/turn-deps.ts';

/** Cancels a turn as a door does: in one transaction, and then in its gateway. */
export async function cancelTurn(
  deps: TurnDeps & { connections: GatewayConnections },
  agent: AgentPlace & { accountId: string },
  messageId: string,
): Promise<void> {
  const { id } = await runTransaction(deps.orm.em, async (em) =>
    cancelMessage(em, deps, await findOwnAgent(em, { ...agent, keyId: null, limits: NO_LIMITS }, agent), messageId),
  );
  await abortCancelled(deps, id);
}
