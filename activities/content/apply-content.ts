import { loadGatewayContent, markContentApplied } from '../../database/content/gateway-content.ts';
import { noteOffers } from '../../database/content/model-offers.ts';
import { noteInstance } from '../../database/instances/note-instance.ts';
import { offersDigest } from '../../lib/settings/model-offer.ts';
import { gatewaySpec } from '../gateway-spec.ts';
import { openSecrets } from './open-secrets.ts';
import { pushContent } from './push-content.ts';
import { throwIfSuperseded, runStep } from '../steps/run-step.ts';
import type { StepInput } from '../steps/run-step.ts';
import { skillTree } from './skill-content.ts';
import type { StepDeps } from '../steps/step-deps.ts';
import { runTransaction } from '../../database/run-transaction.ts';

/**
 * Brings a running gateway to the newest agents, files, skills and secrets, without a restart. One that does not take its new
 * configuration goes on with the old one.
 */
export function applyContent(deps: StepDeps, input: StepInput): Promise<void> {
  return runStep(deps, 'apply', input, async (attempt) => {
    const { orm, driver, connections } = deps;
    const { instanceId, runtimeId, call, signal } = attempt;
    const content = await loadGatewayContent(orm.em.fork(), instanceId);
    const secrets = openSecrets(deps, content);
    await driver.replaceSkills(runtimeId, skillTree(content), call);
    const spec = gatewaySpec(deps, runtimeId, { rows: content, secrets });
    await driver.writeConfig(spec, call);
    const gateway = await connections.get(runtimeId, signal);
    await gateway.secrets.sync(secrets, signal);
    const { refused } = await pushContent(deps, attempt, { gateway, content, spec, hasRead: false });
    const { contentGeneration } = content;
    await noteOffers(orm.em.fork(), { instanceId, epoch: call.epoch, offers: offersDigest(deps.config) });
    const applied = { instanceId, epoch: call.epoch, contentGeneration };
    throwIfSuperseded(await runTransaction(orm.em, (em) => markContentApplied(em, applied)));
    if (refused > 0) await runTransaction(orm.em, (em) => noteInstance(em, { instanceId, note: 'file_refused' }));
  });
}
