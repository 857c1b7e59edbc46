import { createHash } from 'node:crypto';
import { FIRST_EPOCH } from '../../database/pool/add-member.ts';
import type { SpareAgent } from '../../database/pool/add-member.ts';
import { offersTo } from '../../lib/settings/models.ts';
import type { RuntimeSpec } from '../../runtime/driver.ts';
import { gatewaySpec } from '../gateway-spec.ts';
import type { StepDeps } from '../steps/step-deps.ts';

type Deps = Pick<StepDeps, 'driver' | 'config'>;

/** The gateway of a member of the pool: without content, and with these spare agents. */
export function memberSpec(deps: Deps, runtimeId: string, spares: readonly SpareAgent[]): RuntimeSpec {
  const none = { agents: [], removedAgents: [], files: [], skills: [], skillFiles: [], secrets: [] };
  const rows = { instanceId: '', contentGeneration: 0, gatewayEpoch: FIRST_EPOCH, ...none, spares: [...spares] };
  return gatewaySpec(deps, runtimeId, { rows, secrets: new Map() });
}

/** The model of an agent whose creation names no model, for accounts without models of their own; undefined when no such model is offered. */
export function defaultModel({ config }: Pick<Deps, 'config'>): string | undefined {
  return Object.keys(offersTo(config.MODELS, '')).at(0);
}

/**
 * Changes when a gateway that is started now would be another one, by what it is made of or by what it is configured with: its
 * OpenClaw or image, the models, the master key, the address of the relay.
 */
export async function poolRecipe(deps: Deps): Promise<string> {
  const { driver } = deps;
  const spare = { id: 'agt_recipe', gatewayAgentId: 'recipe', model: defaultModel(deps) ?? '' };
  const text = memberSpec(deps, 'run_recipe', [spare]).renderConfig({ port: 1, bind: 'loopback' });
  return createHash('sha256')
    .update(`${driver.kind}\0${await driver.pin()}\0${text}`)
    .digest('hex');
}
