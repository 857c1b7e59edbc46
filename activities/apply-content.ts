import { loadGatewayContent, markContentApplied } from '../database/queries/gateway-content.ts';
import { gatewaySpec } from './gateway-spec.ts';
import { pushContent } from './push-content.ts';
import { orOvertaken, runStep } from './run-step.ts';
import type { StepInput } from './run-step.ts';
import type { StepDeps } from './step-deps.ts';

/**
 * Brings a running gateway to the newest agents and files, without a restart. One that does not take its new
 * configuration goes on with the old one.
 */
export function applyContent(deps: StepDeps, input: StepInput): Promise<void> {
  return runStep(deps, 'apply', input, async (attempt) => {
    const { orm, driver, connections } = deps;
    const { instanceId, runtimeId, call, signal } = attempt;
    const content = await loadGatewayContent(orm.em.fork(), instanceId);
    await driver.writeConfig(gatewaySpec(deps, runtimeId, content), call);
    const client = await connections.get(runtimeId, signal);
    await pushContent(deps, attempt, { client, content });
    const { contentGeneration } = content;
    orOvertaken(await markContentApplied(orm.em.fork(), { instanceId, epoch: call.epoch, contentGeneration }));
  });
}
