import type { EntityManager } from '@mikro-orm/postgresql';
import { LockMode } from '@mikro-orm/postgresql';
import { ClaudeEnvironment } from '../../../../database/entities/claude-environment.ts';
import { Instance } from '../../../../database/entities/instance.ts';
import { AppError } from '../../../../domain/errors.ts';
import { seesInstance } from '../../../../domain/access/key-scopes.ts';
import type { ConversationActor } from '../../../../turns/conversation/own-agent.ts';
import { invalidRequest } from '../../../contract/invalid-request.ts';
import { PLAIN_FIELDS } from './environment.schema.ts';
import { instanceOfEnvironment } from '../ids.ts';

/** The caller's instance that this environment is. Throws AppError `not_found`, also while it is being deleted. */
export async function findOwnEnvironment(em: EntityManager, actor: ConversationActor, id: string): Promise<Instance> {
  const where = { id: instanceOfEnvironment(id), account: actor.accountId, deletedAt: null };
  const instance = await em.findOne(Instance, { ...where, desiredStatus: { $ne: 'destroyed' } }, { refresh: true });
  if (instance && seesInstance(actor.limits, instance.id)) return instance;
  throw new AppError('not_found', `There is no environment with the id '${id}'.`);
}

/** What is kept of an environment besides its instance, locked until the transaction ends. Made where nothing is kept yet. */
export async function holdEnvironmentFields(em: EntityManager, { id, account }: Instance, now: Date): Promise<ClaudeEnvironment> {
  const plain = { instance: id, account, fields: PLAIN_FIELDS, updatedAt: now };
  await em.upsert(ClaudeEnvironment, plain, { onConflictFields: ['instance'], onConflictAction: 'ignore' });
  return em.findOneOrFail(ClaudeEnvironment, { instance: id }, { lockMode: LockMode.PESSIMISTIC_WRITE, refresh: true });
}

/** Throws AppError `invalid_request` where no session can be opened in this environment any more. */
export async function requireNotArchived(em: EntityManager, { id }: Instance): Promise<void> {
  const kept = await em.findOne(ClaudeEnvironment, { instance: id }, { refresh: true });
  if (kept?.archivedAt)
    throw invalidRequest([{ path: 'environment_id', message: 'This environment is archived. Give another one.' }]);
}
