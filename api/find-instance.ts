import type { EntityManager } from '@mikro-orm/postgresql';
import { Agent } from '../database/entities/agent.ts';
import { Instance } from '../database/entities/instance.ts';
import { AppError } from '../domain/errors.ts';

interface OwnedInstance {
  accountId: string;
  instanceId: string;
}

interface OwnedAgent extends OwnedInstance {
  agentId: string;
}

/** The account's instance as it is now. Throws `not_found`, also for another account's instance and for a deleted one. */
export async function findInstance(em: EntityManager, { accountId, instanceId }: OwnedInstance): Promise<Instance> {
  const instance = await em.findOne(Instance, { id: instanceId, account: accountId, deletedAt: null }, { refresh: true });
  if (!instance) throw new AppError('not_found', 'Instance not found');
  return instance;
}

/** The account's agent as it is now. Throws `not_found`. */
export async function findAgent(em: EntityManager, { accountId, instanceId, agentId }: OwnedAgent): Promise<Agent> {
  await findInstance(em, { accountId, instanceId });
  const agent = await em.findOne(Agent, { id: agentId, instance: instanceId, deletedAt: null }, { refresh: true });
  if (!agent) throw new AppError('not_found', 'Agent not found');
  return agent;
}
