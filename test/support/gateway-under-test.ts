import { startGatewayProgram } from './gateway-program.ts';
import type { GatewayUnderTest } from './gateway-program.ts';
import { openClaw } from './open-claw.ts';

export { GATEWAY_MASTER_KEY } from './gateway-program.ts';
export type { GatewayUnderTest } from './gateway-program.ts';

/** Starts a real gateway with these agents, ready, in a directory of its own. Takes about ten seconds. */
export async function startGateway(gatewayAgentIds: readonly string[] = ['alpha']): Promise<GatewayUnderTest> {
  return startGatewayProgram(await openClaw(), gatewayAgentIds);
}
