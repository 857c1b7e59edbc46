import { z } from 'zod';
import { askToDelete } from '../../../database/stores/unowned-runtimes.ts';
import { defineOperation } from '../../contract/define-operation.ts';
import { noSuchRuntime, runtimeParams } from './quarantine.schema.ts';

export const deleteQuarantined = defineOperation({
  method: 'DELETE',
  path: '/admin/quarantine/:runtimeId',
  operationId: 'quarantine.delete',
  summary: 'Delete a runtime that no instance owns',
  description:
    'The next sweep, within about a minute, stops the gateway and deletes its storage, unless an instance owns the runtime by then. The deletion cannot be undone.',
  tag: 'operator',
  auth: 'operator',
  audit: 'quarantine.delete',
  rateLimit: 'none',
  idempotent: true,
  params: runtimeParams,
  success: { status: 200, schema: z.object({ runtimeId: z.string(), state: z.literal('deleting') }) },
  errors: [],

  async handle({ params, em, deps }) {
    if (!(await askToDelete(em, params.runtimeId, deps.clock()))) throw noSuchRuntime();
    return { runtimeId: params.runtimeId, state: 'deleting' as const };
  },
});
