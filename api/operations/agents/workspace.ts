import { isPersonaFile, MAX_USER_FILE_CHARS, personaProblems } from '../../../runtime/engine.ts';
import type { EntityManager } from '@mikro-orm/postgresql';
import { z } from 'zod';
import { AgentFile } from '../../../database/entities/agent-file.ts';
import type { Agent } from '../../../database/entities/agent.ts';
import { filePathProblem } from '../../../domain/agents/file-path.ts';
import { workspaceProblems } from '../../../domain/agents/workspace-files.ts';
import type { Config } from '../../../lib/settings/config.ts';
import { modelOffer } from '../../../lib/settings/model-offer.ts';
import { invalidRequest } from '../../contract/invalid-request.ts';
import type { Deps } from '../../deps.ts';
import { db } from '../../../database/db.ts';

/** 1 MiB of files, every character of which may be escaped in JSON. */
export const FILES_BODY_LIMIT_BYTES = 8 * 1024 * 1024;

const DESCRIPTION = `Workspace files: contents by relative path without "..". At most 64 files of 256 KiB each, 1 MiB in total. The agent reads AGENTS.md, SOUL.md, IDENTITY.md, USER.md and MEMORY.md at every turn: together, these files can have at most half as many characters as the model has tokens of context (\`contextWindow\` in \`GET /models\`), and USER.md at most ${MAX_USER_FILE_CHARS} characters.`;

const pathField = z.string().superRefine((path, context) => {
  const problem = filePathProblem(path);
  if (problem !== null) context.addIssue(problem);
});

/** The files of a new agent. */
export const newFiles = z.record(pathField, z.string()).meta({ description: DESCRIPTION });

/** The files to change; null removes one. */
export const changedFiles = z
  .record(pathField, z.string().nullable())
  .meta({ description: `${DESCRIPTION} \`null\` removes a file.` });

/**
 * Throws `invalid_request` naming every file that has to change so that these can be the files of an agent with this
 * model, and so that all that is `given` of its persona files is in its prompt.
 */
export function requireWorkspace(
  files: ReadonlyMap<string, string>,
  {
    given,
    model,
    config,
  }: {
    given: Iterable<readonly [path: string, content: string | null]>;
    model: string;
    config: Pick<Config, 'MODELS' | 'PROVIDERS'>;
  },
): void {
  // Files that an agent has from a time with other limits are no reason to refuse a change of others.
  const changesPersona = [...given].some(([path, content]) => content !== null && isPersonaFile(path));
  const { contextWindow } = modelOffer(config, model);
  const details = [...workspaceProblems(files), ...(changesPersona ? personaProblems(files, contextWindow) : [])];
  if (details.length > 0) throw invalidRequest(details);
}

interface Changing {
  changes: readonly (readonly [path: string, content: string | null])[];
  generation: number;
  deps: Pick<Deps, 'config' | 'clock'>;
}

/**
 * Changes the files of an agent whose instance is held, null removing one, in this content generation: they go to its gateway at
 * once, or at the next start. Throws `invalid_request`.
 */
export async function changeFiles(em: EntityManager, agent: Agent, { changes, generation, deps }: Changing): Promise<void> {
  const files = await findGivenFiles(em, agent.id);
  for (const [path, content] of changes) {
    if (content === null) files.delete(path);
    else files.set(path, content);
  }
  requireWorkspace(files, { given: changes, model: agent.model, config: deps.config });
  agent.status = 'pending';
  agent.generation = generation;
  await em.flush();
  await storeFiles(em, changes, { agentId: agent.id, generation, now: deps.clock() });
}

/** The files of an agent as the API was last told. What the agent made by itself counts for no limit and is not here. */
async function findGivenFiles(em: EntityManager, agentId: string): Promise<Map<string, string>> {
  const rows = await em.find(AgentFile, { agent: agentId, content: { $ne: null }, seen: false }, { orderBy: { path: 'asc' } });
  return new Map(rows.map(({ path, content }) => [path, content ?? '']));
}

interface FileChange {
  agentId: string;
  generation: number;
  now: Date;
}

/** Stores files that the gateway has to be given, or has to remove where the content is null. */
export async function storeFiles(
  em: EntityManager,
  files: Iterable<readonly [path: string, content: string | null]>,
  { agentId, generation, now }: FileChange,
): Promise<void> {
  for (const [path, content] of files) {
    const told = { content, generation, applied: false, updatedAt: now };
    await db(em)
      .insertInto('AgentFile')
      .values({ agent: agentId, path, ...told })
      .onConflict((conflict) => conflict.columns(['agent', 'path']).doUpdateSet({ ...told, seen: false }))
      .execute();
  }
}
