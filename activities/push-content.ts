import { posix } from 'node:path';
import { markAgentsActive, markAgentsRemoved, markFilesApplied } from '../database/queries/gateway-content.ts';
import type { ContentFile, GatewayContentRows } from '../database/queries/gateway-content.ts';
import { isPersonaFile, setAgentFile } from '../runtime/openclaw/agent-files.ts';
import { waitForAgents } from '../runtime/openclaw/agent-liveness.ts';
import type { GatewayClient } from '../runtime/openclaw/gateway-client.ts';
import { GatewayConnectError } from '../runtime/openclaw/gateway-errors.ts';
import { endTurns } from '../turns/end-turns.ts';
import { cancelledEnd } from '../turns/turn-end.ts';
import { activeToken } from './gateway-spec.ts';
import type { Attempt } from './run-step.ts';
import { turnDepsOf } from './step-deps.ts';
import type { StepDeps } from './step-deps.ts';

const LIVE_MS = 10_000;

/**
 * Brings a ready gateway whose configuration is written to this content: waits until it has the agents, gives them
 * their files, clears up after those that are gone, and says so in the database. Throws AgentsNotLiveError.
 */
export async function pushContent(
  deps: StepDeps,
  attempt: Attempt,
  { client, content }: { client: GatewayClient; content: GatewayContentRows },
): Promise<void> {
  const { orm, driver, clock } = deps;
  const { runtimeId, signal, call } = attempt;
  const { agents, removedAgents, files } = content;
  // The call that deleted an agent may have died before it had ended its turns.
  for (const { id } of removedAgents) await endTurns(turnDepsOf(deps), { agentId: id }, cancelledEnd());
  const endpoint = await driver.endpoint(runtimeId);
  if (!endpoint) throw new GatewayConnectError('No gateway runs', { retryable: true });
  const present = agents.map(({ gatewayAgentId }) => gatewayAgentId);
  const absent = removedAgents.map(({ gatewayAgentId }) => gatewayAgentId);
  await waitForAgents(endpoint, activeToken(deps, runtimeId), { present, absent }, { signal, deadlineMs: LIVE_MS });

  const filesOf = Map.groupBy(files, ({ agentId }) => agentId);
  for (const { id, gatewayAgentId } of agents) await pushFiles(deps, attempt, { client, gatewayAgentId, files: filesOf.get(id) ?? [] });
  const paths = driver.paths(runtimeId);
  const leftovers = absent.flatMap((name) => [paths.workspaceOf(name), posix.dirname(paths.agentDirOf(name))]);
  if (leftovers.length > 0) await driver.removePaths(runtimeId, leftovers, call);

  const em = orm.em.fork();
  await markFilesApplied(em, files);
  await markAgentsActive(em, agents.map(({ id }) => id));
  await markAgentsRemoved(em, removedAgents.map(({ id }) => id), clock());
}

interface FilesOfAgent {
  client: GatewayClient;
  gatewayAgentId: string;
  files: readonly ContentFile[];
}

/** The gateway writes the files of the prompt itself; all others, and every removal, go by the driver. */
async function pushFiles(
  { driver }: StepDeps,
  { runtimeId, call }: Attempt,
  { client, gatewayAgentId, files }: FilesOfAgent,
): Promise<void> {
  const workspace = driver.paths(runtimeId).workspaceOf(gatewayAgentId);
  const others = new Map<string, Buffer>();
  const removed: string[] = [];
  for (const { path, content } of files) {
    if (content === null) removed.push(posix.join(workspace, path));
    else if (isPersonaFile(path)) await setAgentFile(client, { agentId: gatewayAgentId, name: path, content });
    else others.set(path, Buffer.from(content));
  }
  if (removed.length > 0) await driver.removePaths(runtimeId, removed, call);
  if (others.size > 0) await driver.putFiles(runtimeId, workspace, others, call);
}
