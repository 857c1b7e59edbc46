import { z } from 'zod';
import { getAgentFiles, isPersonaFile } from './agent-files.ts';
import type { SeenWorkspace, WorkspaceLimits } from '../../gateway/gateway.ts';
import type { GatewayClient } from '../wire/gateway-client.ts';
import { GatewayRequestError } from '../../gateway/gateway-errors.ts';

const MEMORY_FOLDER = 'memory';

const listAnswer = z.looseObject({
  entries: z.array(
    z.looseObject({ path: z.string(), kind: z.string(), size: z.number().optional(), updatedAtMs: z.number().optional() }),
  ),
});
const getAnswer = z.looseObject({ file: z.looseObject({ encoding: z.string(), content: z.string() }) });

/**
 * What is in the workspace of a live agent now: the files of its prompt, those named, and its notes in `memory/`, the
 * latest first, up to the limits. What is no text or too large is left out. Throws GatewayRequestError.
 */
export async function readWorkspace(
  client: GatewayClient,
  { agentId, paths, limits }: { agentId: string; paths: readonly string[]; limits: WorkspaceLimits },
): Promise<SeenWorkspace> {
  const files = new Map<string, string>();
  let total = 0;
  const add = (path: string, content: string): void => {
    const bytes = Buffer.byteLength(content);
    const isRoom = files.size < limits.maxFiles && bytes <= limits.maxFileBytes && total + bytes <= limits.maxBytes;
    if (!isRoom) return;
    files.set(path, content);
    total += bytes;
  };
  const persona = await getAgentFiles(client, agentId);
  for (const [path, content] of persona) if (content !== null) add(path, content);
  const gone = paths.filter((path) => isPersonaFile(path) && !persona.has(path));
  const others = new Set([...paths, ...(await memoryPaths(client, agentId))].filter((path) => !isPersonaFile(path)));
  for (const path of others) {
    if (files.size >= limits.maxFiles) break;
    const content = await readText(client, agentId, path);
    if (typeof content === 'string') add(path, content);
    else if (content.isGone) gone.push(path);
  }
  return { files, gone };
}

async function memoryPaths(client: GatewayClient, agentId: string): Promise<string[]> {
  const answer = await orRefusal(client.request('agents.workspace.list', { agentId, path: MEMORY_FOLDER, limit: 500 }));
  if (answer instanceof GatewayRequestError) return [];
  return listAnswer
    .parse(answer)
    .entries.filter(({ kind, path }) => kind === 'file' && path.endsWith('.md'))
    .toSorted((a, b) => (b.updatedAtMs ?? 0) - (a.updatedAtMs ?? 0))
    .map(({ path }) => path);
}

async function readText(client: GatewayClient, agentId: string, path: string): Promise<string | { isGone: boolean }> {
  const answer = await orRefusal(client.request('agents.workspace.get', { agentId, path }));
  if (answer instanceof GatewayRequestError) return { isGone: /not found/.test(answer.message) };
  const { file } = getAnswer.parse(answer);
  return file.encoding === 'utf8' ? file.content : { isGone: false };
}

/** The refusal itself for a path that is not there, or holds nothing that can be shown. */
async function orRefusal(answer: Promise<unknown>): Promise<unknown> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof GatewayRequestError && error.code === 'INVALID_REQUEST') return error;
    throw error;
  }
}
