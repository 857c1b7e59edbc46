import { verifyRelayToken } from '../runtime/openclaw/install/tokens.ts';
import type { RelayDeps } from './relay-deps.ts';
import { RelayError } from './relay-error.ts';
import type { RelayAgent } from './store.ts';

/**
 * The agent whose token this is; `spare` for an agent in the pool, which is no customer's. Throws RelayError: 401 for a token that we did not make, 400 when its agent
 * is gone or its gateway process is not the one that runs, 503 when the database cannot say.
 */
export async function authenticate(deps: RelayDeps, token: string | undefined): Promise<RelayAgent | 'spare'> {
  const { keys, store, findAgent } = deps;
  const holder = token === undefined ? null : verifyRelayToken(keys, token);
  if (holder === null) {
    throw new RelayError(401, 'The token is missing or does not belong to an agent.', { type: 'authentication_error' });
  }
  const found = async () => (await findAgent(holder)) ?? ((await store.isSpare(holder.agentId)) ? 'spare' : null);
  const agent = await found().catch((cause: unknown) => {
    const message = 'The platform cannot look the agent up at the moment. Try again in a moment.';
    throw new RelayError(503, message, { retryAfterSeconds: 1, cause });
  });
  if (agent === 'spare') return agent;
  if (!agent) throw new RelayError(400, 'This agent was deleted and can make no more model calls.');
  if (agent.gatewayEpoch !== holder.epoch) {
    throw new RelayError(
      400,
      'This token belongs to an earlier gateway process of the instance. Use the token in the current configuration.',
    );
  }
  return agent;
}
