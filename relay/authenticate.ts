import { verifyRelayToken } from '../runtime/openclaw/install/tokens.ts';
import type { RelayDeps } from './relay-deps.ts';
import { RelayError } from './relay-error.ts';
import type { RelayAgent } from './store.ts';

/**
 * The agent whose token this is. Throws RelayError: 401 for a token that we did not make, 400 when its agent
 * is gone or its gateway process is not the one that runs, 503 when the database cannot say.
 */
export async function authenticate({ keys, findAgent }: RelayDeps, token: string | undefined): Promise<RelayAgent> {
  const holder = token === undefined ? null : verifyRelayToken(keys, token);
  if (holder === null) {
    throw new RelayError(401, 'The token is missing or does not belong to an agent.', { type: 'authentication_error' });
  }
  const agent = await findAgent(holder).catch((cause: unknown) => {
    const message = 'The platform cannot look the agent up at the moment. Try again in a moment.';
    throw new RelayError(503, message, { retryAfterSeconds: 1, cause });
  });
  if (!agent) throw new RelayError(400, 'This agent was deleted and can make no more model calls.');
  if (agent.gatewayEpoch !== holder.epoch) {
    throw new RelayError(
      400,
      'This token belongs to an earlier gateway process of the instance. Use the token in the current configuration.',
    );
  }
  return agent;
}
