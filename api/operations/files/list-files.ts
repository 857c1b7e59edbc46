import { z } from 'zod';
import { findPendingFiles } from '../../../database/content/agent-files.ts';
import type { PendingFile } from '../../../database/content/agent-files.ts';
import { agentFilePathProblem } from '../../../domain/agents/agent-file-path.ts';
import { mediaTypeOf } from '../../../domain/agents/media-type.ts';
import type { FilesPage } from '../../../runtime/driver-files.ts';
import { MAX_LISTED } from '../../../runtime/files-protocol.ts';
import { defineOperation } from '../../contract/define-operation.ts';
import { nextCursor, paginate } from '../../contract/pagination.ts';
import { findAgent, findInstance } from '../../find-instance.ts';
import { agentParams } from '../agents/agent.schema.ts';
import { explainingFiles, fileFields } from './file.schema.ts';

const MAX_PREFIX = 512;
/** A path, or that of a folder with its slash. */
const place = z
  .string()
  .min(1)
  .max(2 * MAX_PREFIX)
  .refine((text) => agentFilePathProblem(text.replace(/\/$/, '')) === null);
const pages = paginate('files', place, { defaultLimit: 100, maxLimit: MAX_LISTED });

export const listFiles = defineOperation({
  method: 'GET',
  path: '/instances/:instanceId/agents/:agentId/files',
  operationId: 'files.list',
  summary: 'List the files in the workspace of an agent, by path',
  description:
    'All folders are listed. Links, and what the gateway keeps for itself, are left out. A page can have fewer files than `limit` although more follow: go on until `nextCursor` is `null`.',
  tag: 'files',
  auth: 'account',
  scope: 'read',
  audit: 'none',
  rateLimit: 'account',
  idempotent: false,
  params: agentParams,
  query: z.object({
    prefix: z.string().max(MAX_PREFIX).default('').meta({ description: 'Only paths that begin with it, such as `notes/`.' }),
    ...pages.fields,
  }),
  success: {
    status: 200,
    schema: z.object({
      files: z.array(z.object({ ...fileFields, mediaType: z.string().meta({ description: 'By the end of its name.' }) })),
      nextCursor,
    }),
  },
  errors: ['conflict'],

  async load({ params, actor, em }) {
    const { runtimeId } = await findInstance(em, { accountId: actor.accountId, instanceId: params.instanceId });
    const { id, gatewayAgentId } = await findAgent(em, { accountId: actor.accountId, ...params });
    return { agentId: id, place: { runtimeId, gatewayAgentId } };
  },
  async handle({ loaded, em }) {
    return { ...loaded, pending: await findPendingFiles(em, loaded.agentId) };
  },

  async after({ place: workspace, pending }, { query, deps, signal }) {
    const { prefix, limit, cursor: after = '' } = query;
    const page = await explainingFiles(() => deps.files.list(workspace, { prefix, after, limit, signal }));
    const { files, next } = withPending(page, pending, { prefix, after, limit });
    return { files, nextCursor: next === null ? null : pages.cursorOf(next) };
  },
});

interface Listed {
  path: string;
  size: number;
  modifiedAtMs: number;
}

/** The page as it will be once the gateway has been given what is pending. */
function withPending(
  { files, next }: FilesPage,
  pending: readonly PendingFile[],
  { prefix, after, limit }: { prefix: string; after: string; limit: number },
) {
  const byPath = new Map<string, Listed>(files.map((file) => [file.path, file]));
  for (const { path, size, updatedAtMs } of pending) {
    if (!path.startsWith(prefix) || path <= after || (next !== null && path > next)) continue;
    if (agentFilePathProblem(path) !== null) continue;
    if (size === null) byPath.delete(path);
    else byPath.set(path, { path, size, modifiedAtMs: updatedAtMs });
  }
  const all = [...byPath.values()].toSorted((a, b) => (a.path < b.path ? -1 : 1));
  const shown = all.slice(0, limit);
  return {
    next: shown.length < all.length ? (shown.at(-1)?.path ?? next) : next,
    files: shown.map(({ path, size, modifiedAtMs }) => ({
      path,
      size,
      modifiedAt: new Date(modifiedAtMs).toISOString(),
      mediaType: mediaTypeOf(path),
    })),
  };
}
