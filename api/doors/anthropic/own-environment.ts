import type { EntityManager } from '@mikro-orm/postgresql';
import { Instance } from '../../../database/entities/instance.ts';
import { AppError } from '../../../domain/errors.ts';
import { seesInstance } from '../../../domain/key-scopes.ts';
import type { ConversationActor } from '../../../turns/conversation/own-agent.ts';
import { instanceOfEnvironment } from './ids.ts';

/** The caller's instance that this environment is. Throws AppError `not_found`, also while it is being deleted. */
export async function findOwnEnvironment(em: EntityManager, actor: ConversationActor, id: string): Promise<Instance> {
  const where = { id: instanceOfEnvironment(id), account: actor.accountId, deletedAt: null };
  const instance = await em.findOne(Instance, { ...where, desiredStatus: { $ne: 'destroyed' } }, { refresh: true });
  if (instance && seesInstance(actor.limits, instance.id)) return instance;
  throw new AppError('not_found', `There is no environment with the id '${id}'.`);
}
