import { borrowGateway } from '../support/gateway-under-test.ts';
import { startAgentOf } from './gateway-agent.ts';
import type { GatewayAgent } from './gateway-agent.ts';

export type LiveAgent = GatewayAgent;

/** An agent that lives in a real gateway. May take as long as the start of one. */
export async function startLiveAgent(): Promise<LiveAgent> {
  return startAgentOf(await borrowGateway());
}
