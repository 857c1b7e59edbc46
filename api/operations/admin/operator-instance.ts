import type { EntityManager } from '@mikro-orm/postgresql';
import { z } from 'zod';
import { Instance } from '../../../database/entities/instance.ts';
import { AppError } from '../../../domain/errors.ts';
import { instanceWorkflowId } from '../../../domain/workflow-ids.ts';
import { idField } from '../../contract/fields.ts';
import { instanceSchema, presentInstances } from '../instances/instance.schema.ts';

export const operatorInstance = instanceSchema
  .extend({
    accountId: idField('acc'),
    runtimeId: z.string().meta({ description: 'The id of the runtime, which is also the name of its directory or container.' }),
    workflowId: z.string().meta({ description: 'The id of the workflow of this instance, as in the Temporal Web UI.' }),
  })
  .meta({ id: 'OperatorInstance' });

/** Instances as operators see them. */
export async function presentForOperator(
  em: EntityManager,
  rows: readonly Instance[],
): Promise<z.input<typeof operatorInstance>[]> {
  const views = await presentInstances(em, rows);
  const byId = new Map(views.map((view) => [view.instanceId, view]));
  return rows.flatMap(({ id, account, runtimeId }) => {
    const view = byId.get(id);
    return view ? [{ ...view, accountId: account, runtimeId, workflowId: instanceWorkflowId(id) }] : [];
  });
}

/** An instance of any account. Throws `not_found` when it was deleted. */
export async function findAnyInstance(em: EntityManager, instanceId: string): Promise<Instance> {
  const instance = await em.findOne(Instance, { id: instanceId, deletedAt: null }, { refresh: true });
  if (!instance) throw new AppError('not_found', 'Instance not found');
  return instance;
}
