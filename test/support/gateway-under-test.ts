import { AGENT, startGatewayProgram } from './gateway-program.ts';
import type { GatewayUnderTest } from './gateway-program.ts';
import { borrowFrom } from './lent-gateways.ts';
import { openClaw } from './open-claw.ts';
import { testRunDir } from './run-folder.ts';

export { AGENT } from './gateway-program.ts';
export type { GatewayUnderTest } from './gateway-program.ts';

/** Starts a real gateway with these agents, ready, in a directory of its own. Takes about ten seconds. */
export async function startGateway(gatewayAgentIds: readonly string[]): Promise<GatewayUnderTest> {
  return startGatewayProgram(await openClaw(), gatewayAgentIds);
}

/**
 * A real gateway with these agents, ready, which this file has alone: one that an earlier file of the run has left, or a
 * new one. What earlier files had is gone but for their conversations, and what their jobs did. It may be killed and
 * started again.
 */
export async function borrowGateway(gatewayAgentIds: readonly string[] = [AGENT]): Promise<GatewayUnderTest> {
  return borrowFrom(testRunDir(), await openClaw(), gatewayAgentIds);
}
