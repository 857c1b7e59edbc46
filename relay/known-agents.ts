import type { Clock } from '../lib/async/clock.ts';
import type { TokenHolder } from '../runtime/openclaw/install/tokens.ts';
import type { RelayAgent, RelayStore } from './store.ts';

const KEPT_MS = 5_000;

/**
 * Looks agents up and remembers those that exist for five seconds, so that a busy turn asks the database once. The token
 * of a newer gateway process than the remembered one is looked up at once.
 */
export function createKnownAgents(store: RelayStore, clock: Clock): (holder: TokenHolder) => Promise<RelayAgent | null> {
  const known = new Map<string, { agent: RelayAgent; until: number }>();
  return async ({ agentId, epoch }) => {
    const now = clock().getTime();
    const entry = known.get(agentId);
    if (entry && entry.until > now && (epoch ?? 0) <= (entry.agent.gatewayEpoch ?? 0)) return entry.agent;
    for (const [id, { until }] of known) if (until <= now) known.delete(id);
    const agent = await store.findAgent(agentId);
    if (agent) known.set(agentId, { agent, until: now + KEPT_MS });
    return agent;
  };
}
