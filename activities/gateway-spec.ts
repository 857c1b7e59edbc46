import type { GatewayContentRows } from '../database/content/gateway-content.ts';
import { modelOffer } from '../lib/settings/model-offer.ts';
import type { RuntimeSpec } from '../runtime/driver.ts';
import { gatewayToken, relayToken, renderConfig } from '../runtime/engine.ts';
import type { GatewayAgent } from '../runtime/engine.ts';
import { bundledSkills, skillEnvironments } from './content/skill-content.ts';
import type { StepDeps } from './steps/step-deps.ts';

/** What a gateway shall hold, with its secrets in clear: see openSecrets. */
export interface OpenContent {
  rows: GatewayContentRows;
  secrets: ReadonlyMap<string, string>;
}

/** The gateway of this runtime, with the content that it shall hold. */
export function gatewaySpec(
  { driver, config }: Pick<StepDeps, 'driver' | 'config'>,
  runtimeId: string,
  { rows, secrets }: OpenContent,
): RuntimeSpec {
  const { agents, spares, gatewayEpoch } = rows;
  const content = {
    gatewayToken: activeToken({ config }, runtimeId),
    relayUrl: driver.relayUrl(),
    paths: driver.paths(runtimeId),
    turnTimeoutSeconds: Math.ceil(config.TURN_TIMEOUT_MS / 1_000),
    skills: { bundled: bundledSkills(rows), env: skillEnvironments(rows, secrets) },
    agents: [...agents, ...spares].map(({ id, gatewayAgentId, model }): GatewayAgent => ({
      gatewayAgentId,
      model: { ...modelOffer(config, model), id: model },
      relayToken: relayToken(config.MASTER_KEYS, { agentId: id, epoch: gatewayEpoch }),
    })),
  };
  return { runtimeId, renderConfig: (placement) => renderConfig(content, placement) };
}

/** The token that the gateway takes once it has our configuration. */
export function activeToken({ config }: Pick<StepDeps, 'config'>, runtimeId: string): string {
  const [active] = config.MASTER_KEYS;
  if (!active) throw new Error('There is no master key');
  return gatewayToken(active, runtimeId);
}
