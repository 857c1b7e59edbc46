import type { EntityManager } from '@mikro-orm/postgresql';
import { Agent } from '../../../../database/entities/agent.ts';
import { ClaudeAgentPlace } from '../../../../database/entities/claude-agent-place.ts';
import type { ClaudeAgent } from '../../../../database/entities/claude-agent.ts';
import { modelNamed, offersTo } from '../../../../lib/settings/models.ts';
import { defaultFiles } from '../../../../runtime/engine.ts';
import { changeContent } from '../../../change-content.ts';
import type { Deps } from '../../../deps.ts';
import { addAgent } from '../../../operations/agents/add-agent.ts';
import { requireWorkspace, storeFiles } from '../../../operations/agents/workspace.ts';

const NAME_CHARACTERS = 64;
/** The file of an agent that says how it works. */
const SYSTEM_FILE = 'AGENTS.md';

/**
 * The agent of this instance that is this agent of Claude Managed Agents: made when it is not there yet, and brought to the
 * version that was read. One whose model has changed is made anew; sessions with the old one go on with that. Throws
 * AppError `invalid_request` and `conflict` as agents do.
 */
export async function placeAgent(em: EntityManager, deps: Deps, claudeAgent: ClaudeAgent, instanceId: string): Promise<string> {
  const { id, account: accountId, version } = claudeAgent;
  const find = async () => {
    const place = await em.findOne(ClaudeAgentPlace, { claudeAgent: id, instance: instanceId }, { refresh: true });
    const agent = place && (await em.findOne(Agent, { id: place.agent, deletedAt: null }, { refresh: true }));
    return place && agent ? { place, agent } : null;
  };
  const known = await find();
  if (known?.place.version === version) return known.agent.id;
  // It holds the instance: another call may have placed the agent meanwhile.
  const generation = await changeContent(em, { accountId, instanceId });
  const found = await find();
  if (found?.place.version === version) return found.agent.id;
  const wanted = contentOf(deps, claudeAgent);
  const { name, model, files } = wanted;
  if (found?.agent.model === model) {
    Object.assign(found.agent, { name, displayName: name, status: 'pending', generation });
    found.place.version = version;
    await em.flush();
    await storeFiles(em, files, { agentId: found.agent.id, generation, now: deps.clock() });
    return found.agent.id;
  }
  const slug = `c${id.slice('agent_'.length)}-v${version}`;
  const agent = { accountId, instanceId, name, slug, displayName: name, metadata: {}, model, files };
  const { agentId } = await addAgent(em, deps, agent);
  await em.upsert(ClaudeAgentPlace, { claudeAgent: id, instance: instanceId, agent: agentId, version });
  return agentId;
}

function contentOf({ config }: Pick<Deps, 'config'>, { account, definition }: ClaudeAgent) {
  const offered = offersTo(config.MODELS, account);
  const model = modelNamed(offered, definition.model.id) ?? Object.keys(offered)[0] ?? '';
  const name = Array.from(definition.name.replaceAll(/[\p{Cc}\p{Zl}\p{Zp}]/gu, ' '))
    .slice(0, NAME_CHARACTERS)
    .join('')
    .trim();
  const files = new Map<string, string>(defaultFiles(name));
  if (definition.system) files.set(SYSTEM_FILE, definition.system);
  requireWorkspace(files, { given: files, model, config });
  return { name, model, files };
}
