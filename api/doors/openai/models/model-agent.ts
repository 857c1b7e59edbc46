import type { EntityManager } from '@mikro-orm/postgresql';
import { findAgentEntry } from '../../../../database/content/find-agent-place.ts';
import type { AgentEntry, AgentName } from '../../../../database/content/find-agent-place.ts';
import { AppError } from '../../../../domain/errors.ts';
import { idPattern } from '../../../../domain/ids.ts';
import { seesInstance } from '../../../../domain/access/key-scopes.ts';
import type { ConversationActor } from '../../../../turns/conversation/own-agent.ts';
import { NO_MODEL } from '../error-answer.ts';

/** The agent that a model names: by its `agentId`, or as `<instanceId>/<slug>`. Throws AppError `not_found`. */
export async function findModelAgent(em: EntityManager, actor: ConversationActor, model: string): Promise<AgentEntry> {
  const name = agentNamed(model);
  const found = name && (await findAgentEntry(em, actor.accountId, name));
  if (found && seesInstance(actor.limits, found.instanceId)) return found;
  const message = `The model '${model}' does not exist, or you do not have access to it. Give the id of an agent, as GET /models lists it, or <instanceId>/<slug>.`;
  throw new AppError('not_found', message, { reason: NO_MODEL });
}

function agentNamed(model: string): AgentName | null {
  if (idPattern('agt').test(model)) return { agentId: model };
  const [, instanceId = '', slug = ''] = /^([^/]+)\/([^/]+)$/.exec(model) ?? [];
  return idPattern('inst').test(instanceId) ? { instanceId, slug } : null;
}
