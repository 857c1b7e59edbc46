import type { EntityManager } from '@mikro-orm/postgresql';
import { z } from 'zod';
import { removeSessionBudgets } from '../../../database/budgets/remove-session-budgets.ts';
import { changePower } from '../../../database/instances/lifecycle/change-power.ts';
import { AppError } from '../../../domain/errors.ts';
import type { PowerAction } from '../../../domain/lifecycle.ts';
import { idField } from '../../contract/fields.ts';
import { instanceSchema } from './instance.schema.ts';

/** What start and stop answer: the target that was accepted, or, after a wait, the instance as it is then. */
export const powerAnswer = (target: 'running' | 'stopped') =>
  z.union([instanceSchema, z.object({ instanceId: idField('inst'), status: z.literal(target) })]);

/**
 * Changes what is wanted; true when that was something new. The budgets of its sessions go with an instance. Throws `not_found`
 * or `conflict`.
 */
export async function acceptPower(em: EntityManager, instanceId: string, action: PowerAction, now: Date): Promise<boolean> {
  const decision = await changePower(em, { instanceId, action, now });
  if (decision === null) throw new AppError('not_found', 'Instance not found');
  if (decision === 'refused')
    throw new AppError('conflict', 'This instance is being deleted and can no longer be started or stopped.');
  if (action === 'destroy') await removeSessionBudgets(em, instanceId, now);
  return decision === 'changed';
}
