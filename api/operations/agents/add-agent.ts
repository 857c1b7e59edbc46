import type { EntityManager } from '@mikro-orm/postgresql';
import { Agent } from '../../../database/entities/agent.ts';
import { takeSpare } from '../../../database/pool/spare-agents.ts';
import { AppError } from '../../../domain/errors.ts';
import { makeGatewayAgentId } from '../../../domain/ids.ts';
import { changeContent } from '../../change-content.ts';
import type { Deps } from '../../deps.ts';
import { storeFiles } from './workspace.ts';

interface NewAgent {
  accountId: string;
  instanceId: string;
  name: string;
  slug: string;
  displayName: string;
  metadata: Record<string, string>;
  /** A public id of MODELS. */
  model: string;
  /** As requireWorkspace allows. */
  files: ReadonlyMap<string, string>;
}

interface AddedAgent {
  accountId: string;
  instanceId: string;
  agentId: string;
  /** The content generation that the gateway has to apply. */
  generation: number;
}

/**
 * Makes an agent of this instance, which the gateway is given after the commit of the caller's transaction. Throws AppError
 * `not_found`, and `conflict` where the instance has too many or the slug is taken.
 */
export async function addAgent(
  em: EntityManager,
  { config, clock, makeId }: Pick<Deps, 'clock' | 'makeId'> & { config: Pick<Deps['config'], 'MAX_AGENTS_PER_INSTANCE'> },
  { accountId, instanceId, files, ...given }: NewAgent,
): Promise<AddedAgent> {
  // It holds the instance, so that two calls at once are counted one after the other.
  const generation = await changeContent(em, { accountId, instanceId });
  const limit = config.MAX_AGENTS_PER_INSTANCE;
  if ((await em.count(Agent, { instance: instanceId, deletedAt: null })) >= limit)
    throw new AppError('conflict', `An instance can have at most ${limit} agents. Delete an agent first.`);
  if ((await em.count(Agent, { instance: instanceId, slug: given.slug, deletedAt: null })) > 0)
    throw new AppError('conflict', `This instance already has an agent with the slug ${given.slug}. Choose another slug.`);
  const now = clock();
  const spare = await takeSpare(em, { instanceId, model: given.model });
  const agent = em.create(Agent, {
    id: spare?.id ?? makeId('agt'),
    instance: instanceId,
    account: accountId,
    ...given,
    gatewayAgentId: spare?.gatewayAgentId ?? makeGatewayAgentId(makeId),
    status: 'pending',
    generation,
    createdAt: now,
  });
  await em.flush();
  await storeFiles(em, files, { agentId: agent.id, generation, now });
  return { accountId, instanceId, agentId: agent.id, generation };
}
