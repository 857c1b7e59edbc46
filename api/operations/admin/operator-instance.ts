import type { EntityManager } from '@mikro-orm/postgresql';
import { z } from 'zod';
import { Instance } from '../../../database/entities/instance.ts';
import { AppError } from '../../../domain/errors.ts';
import { instanceWorkflowId } from '../../../domain/temporal/workflow-ids.ts';
import type { ConfigOf } from '../../../lib/settings/config.ts';
import { idField } from '../../contract/fields.ts';
import { instanceSchema, presentInstances } from '../instances/instance.schema.ts';

export const operatorInstance = instanceSchema
  .extend({
    accountId: idField('acc'),
    runtimeId: z.string().meta({ description: 'The id of the runtime, which is also the name of its directory or container.' }),
    workflowId: z.string().meta({ description: 'The id of the workflow of this instance, as in the Temporal Web UI.' }),
    workflowUrl: z.string().nullable().meta({
      description: 'The runs of this workflow in the Temporal Web UI; `null` when `TEMPORAL_UI_URL` is not set.',
    }),
  })
  .meta({ id: 'OperatorInstance' });

/** Instances as operators see them. */
export async function presentForOperator(
  em: EntityManager,
  rows: readonly Instance[],
  config: TemporalUi,
): Promise<z.input<typeof operatorInstance>[]> {
  const views = await presentInstances(em, rows);
  const byId = new Map(views.map((view) => [view.instanceId, view]));
  return rows.flatMap(({ id, account, runtimeId }) => {
    const view = byId.get(id);
    const workflowId = instanceWorkflowId(id);
    return view ? [{ ...view, accountId: account, runtimeId, workflowId, workflowUrl: workflowUrl(workflowId, config) }] : [];
  });
}

type TemporalUi = Pick<ConfigOf<'api'>, 'TEMPORAL_UI_URL' | 'TEMPORAL_NAMESPACE'>;

function workflowUrl(workflowId: string, { TEMPORAL_UI_URL: ui, TEMPORAL_NAMESPACE: namespace }: TemporalUi): string | null {
  if (ui === undefined) return null;
  return `${ui.replace(/\/+$/, '')}/namespaces/${encodeURIComponent(namespace)}/workflows/${encodeURIComponent(workflowId)}`;
}

/** An instance of any account. Throws `not_found` when it was deleted. */
export async function findAnyInstance(em: EntityManager, instanceId: string): Promise<Instance> {
  const instance = await em.findOne(Instance, { id: instanceId, deletedAt: null }, { refresh: true });
  if (!instance) throw new AppError('not_found', 'Instance not found');
  return instance;
}
