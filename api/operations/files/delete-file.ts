import { z } from 'zod';
import { noteWrittenFile } from '../../../database/content/agent-files.ts';
import { isPersonaFile } from '../../../runtime/engine.ts';
import { changeContent } from '../../change-content.ts';
import { defineOperation } from '../../contract/define-operation.ts';
import { findAgent } from '../../find-instance.ts';
import { awaitApplied } from '../agents/await-applied.ts';
import { changeFiles } from '../agents/workspace.ts';
import { explainingFiles, fileNotFound, fileParams, pathField } from './file.schema.ts';
import { findWorkspaceFile, isThere } from './workspace-file.ts';

export const deleteFile = defineOperation({
  method: 'DELETE',
  path: '/instances/:instanceId/agents/:agentId/files/:path',
  rest: true,
  operationId: 'files.delete',
  summary: 'Delete a file of an agent',
  tag: 'files',
  auth: 'account',
  scope: 'write',
  audit: 'files.delete',
  rateLimit: 'account',
  idempotent: true,
  params: fileParams,
  success: { status: 200, schema: z.object({ path: pathField, deleted: z.literal(true) }) },
  errors: ['invalid_request', 'conflict'],

  async load({ params, actor, em }) {
    await findAgent(em, { accountId: actor.accountId, ...params });
  },
  async before({ params, actor, em, deps, signal }) {
    const file = await findWorkspaceFile(em, { accountId: actor.accountId, ...params });
    if (!(await explainingFiles(() => isThere(deps, file, '*', signal)))) throw fileNotFound();
    return file;
  },
  async handle({ params, actor, em, deps, prepared: { agentId, place, path, told } }) {
    const now = deps.clock();
    if (!isPersonaFile(path)) {
      if (told) await noteWrittenFile(em, { agentId, path, generation: told.generation, content: null, now });
      return { ...params, place, generation: null };
    }
    const owned = { accountId: actor.accountId, ...params };
    const generation = await changeContent(em, owned);
    await changeFiles(em, await findAgent(em, owned), { changes: [[path, null]], generation, deps });
    return { ...params, place, generation };
  },
  auditSubject: (_, { agentId, instanceId }) => ({ target: agentId, instanceId }),

  async after({ instanceId, path, place, generation }, { deps, signal }) {
    if (generation !== null) await awaitApplied(deps, { instanceId, generation }, signal);
    // A call that is repeated after this process has died does it once more.
    else await explainingFiles(() => deps.files.remove(place, path, { signal }));
    return { path, deleted: true as const };
  },
});
