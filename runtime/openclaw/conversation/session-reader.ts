import type { GatewayClient } from '../wire/gateway-client.ts';
import { sessionKeyOf } from './session-key.ts';

/** There is no such conversation: what is found does not matter. */
const CONVERSATION = 'none';
const QUERY = 'none';
/** A deletion ends the thread in the moment of its answer, so the first search may still be answered by the one that ends. */
const SEARCHES = 2;

/**
 * Starts the thread in which a gateway reads conversations, with the database of this agent open. It ends with each deletion of a
 * conversation, and starting it takes over half a second of CPU time. A search in a conversation that does not exist starts it,
 * as a turn would. Throws GatewayRequestError and the signal's reason.
 */
export async function startReader(client: GatewayClient, gatewayAgentId: string, signal: AbortSignal): Promise<void> {
  const sessionKeys = [sessionKeyOf({ gatewayAgentId, conversationId: CONVERSATION })];
  const search = { agentId: gatewayAgentId, sessionKeys, query: QUERY, limit: 1 };
  for (let searched = 0; searched < SEARCHES; searched += 1) await client.request('sessions.search', search, { signal });
}
