import { AGENT, startGatewayProgram } from '../gateway-program.ts';
import type { GatewayUnderTest } from '../gateway-program.ts';
import { controlScripted, SCRIPTED_GATEWAY } from './scripted-control.ts';
import type { ScriptedControl } from './scripted-control.ts';

/** Starts a scripted gateway in the place of a real one. It calls no model, and takes less than a second. */
export async function startScripted(
  gatewayAgentIds: readonly string[] = [AGENT],
): Promise<{ gateway: GatewayUnderTest; control: ScriptedControl }> {
  const gateway = await startGatewayProgram(SCRIPTED_GATEWAY, gatewayAgentIds);
  return { gateway, control: controlScripted(gateway.driver.paths(gateway.runtimeId).stateDir) };
}
