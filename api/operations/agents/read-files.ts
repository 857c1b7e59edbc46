import type { EntityManager } from '@mikro-orm/postgresql';
import { AgentFile } from '../../../database/entities/agent-file.ts';
import type { Agent } from '../../../database/entities/agent.ts';
import { Instance } from '../../../database/entities/instance.ts';
import { SHOWN_FILES } from '../../../domain/agents/workspace-files.ts';
import { orAborted } from '../../../lib/async/aborted.ts';
import type { SeenWorkspace } from '../../../runtime/gateway/gateway.ts';
import type { Deps } from '../../deps.ts';

/** How long a gateway may take to answer. After that the last known files are shown. */
const PATIENCE_MS = 3_000;

type ReadDeps = Pick<Deps, 'connections' | 'log'>;

/**
 * The files of an agent by path: the current ones when its gateway answers, else the last known ones. Changes that the API
 * accepted and the gateway does not have yet are included.
 */
export async function readFiles(deps: ReadDeps, em: EntityManager, agent: Agent): Promise<Map<string, string>> {
  const rows = await em.find(AgentFile, { agent: agent.id }, { orderBy: { path: 'asc' }, refresh: true });
  const seen = await lookInside(
    deps,
    em,
    agent,
    rows.filter(({ content }) => content !== null).map(({ path }) => path),
  );
  const files = new Map(seen?.files);
  for (const { path, content, applied } of rows) {
    if (content === null) files.delete(path);
    // A file that the gateway could not show, too large for instance, is shown as it was given.
    else if (!applied || !seen || !(files.has(path) || seen.gone.includes(path))) files.set(path, content);
  }
  return new Map([...files].toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

/** Null where there is no gateway to ask. */
async function lookInside(
  { connections, log }: ReadDeps,
  em: EntityManager,
  { instance: instanceId, gatewayAgentId, status }: Agent,
  paths: readonly string[],
): Promise<SeenWorkspace | null> {
  const instance = await em.findOne(Instance, { id: instanceId }, { refresh: true });
  if (!instance || instance.bootId === null || instance.transitionKind !== null || status === 'pending') return null;
  const patience = AbortSignal.timeout(PATIENCE_MS);
  try {
    const gateway = await connections.get(instance.runtimeId, patience);
    return await orAborted(gateway.files.read({ agentId: gatewayAgentId, paths, limits: SHOWN_FILES }), patience);
  } catch (err) {
    log.debug({ err, instanceId }, 'the files of an agent could not be read from its gateway');
    return null;
  }
}
