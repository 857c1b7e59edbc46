import { posix } from 'node:path';
import {
  markAgentsActive,
  markAgentsFailed,
  markAgentsRemoved,
  markFilesApplied,
  markSkillsActive,
} from '../../database/content/gateway-content.ts';
import type { ContentFile, GatewayContentRows } from '../../database/content/gateway-content.ts';
import { InstanceDiskFullError, UnsafePathError } from '../../runtime/driver.ts';
import type { RuntimeSpec } from '../../runtime/driver.ts';
import { isPersonaFile, waitForAgents } from '../../runtime/engine.ts';
import type { Gateway } from '../../runtime/gateway/gateway.ts';
import {
  AgentsNotLiveError,
  GatewayConnectError,
  GatewayRequestError,
  INVALID_REQUEST,
} from '../../runtime/gateway/gateway-errors.ts';
import { endTurns } from '../../turns/end-turns.ts';
import { cancelledEnd } from '../../turns/turn-end.ts';
import { activeToken } from '../gateway-spec.ts';
import type { Attempt } from '../steps/run-step.ts';
import { wantedSkills } from './skill-content.ts';
import { turnDepsOf } from '../steps/step-deps.ts';
import type { StepDeps } from '../steps/step-deps.ts';

const CONTENT_MS = 10_000;
/** On a starved machine, where a gateway that has not taken its content up in time has not refused it. */
const STARVED_CONTENT_MS = 60_000;

export interface PushedContent {
  /** Files that could not be written: an agent has put something else in their place. Tried again at the next change. */
  refused: number;
}

interface Pushing {
  gateway: Gateway;
  content: GatewayContentRows;
  /** Its configuration, which is written. */
  spec: RuntimeSpec;
  /** The gateway has read this configuration: it began with it, or knew it when it was suspended. */
  hasRead: boolean;
}

/**
 * Brings a ready gateway whose configuration is written to this content: waits until it has the agents and skills,
 * unless it has read that and one before it had them, gives them their files, clears up after those that are gone, and says so in the database. Throws AgentsNotLiveError.
 */
export async function pushContent(deps: StepDeps, attempt: Attempt, { hasRead, ...pushing }: Pushing): Promise<PushedContent> {
  const { orm, driver, clock } = deps;
  const { runtimeId, call } = attempt;
  const { gateway, content } = pushing;
  const { agents, removedAgents, files } = content;
  // The call that deleted an agent may have died before it had ended its turns.
  for (const { id } of removedAgents) await endTurns(turnDepsOf(deps), { agentId: id }, cancelledEnd());
  // What an earlier gateway took up is not asked for again: a new one takes long to answer, and the customer waits.
  if (!hasRead || !wasSeen(content)) await takenUp(deps, attempt, pushing);

  const filesOf = Map.groupBy(files, ({ agentId }) => agentId);
  const refused = new Set<ContentFile>();
  for (const { id, gatewayAgentId } of agents)
    for (const file of await pushFiles(deps, attempt, { gateway, gatewayAgentId, files: filesOf.get(id) ?? [] }))
      refused.add(file);
  const paths = driver.paths(runtimeId);
  const leftovers = removedAgents.flatMap(({ gatewayAgentId: name }) => [
    paths.workspaceOf(name),
    posix.dirname(paths.agentDirOf(name)),
  ]);
  if (leftovers.length > 0) await driver.removePaths(runtimeId, leftovers, call);

  const em = orm.em.fork();
  await markFilesApplied(
    em,
    files.filter((file) => !refused.has(file)),
  );
  await markAgentsActive(
    em,
    agents.map(({ id }) => id),
  );
  if (refused.size > 0) await markAgentsFailed(em, [...new Set([...refused].map((file) => file.agentId))]);
  await markAgentsRemoved(
    em,
    removedAgents.map(({ id }) => id),
    clock(),
  );
  await markSkillsActive(
    em,
    content.skills.map(({ id }) => id),
  );
  return { refused: refused.size };
}

function wasSeen({ agents, removedAgents, skills }: GatewayContentRows): boolean {
  return removedAgents.length === 0 && [...agents, ...skills].every(({ isActive }) => isActive);
}

/** A gateway was seen that had missed a replacement of its configuration: one that does not take it up gets it again, for the next attempt. */
async function takenUp(deps: StepDeps, attempt: Attempt, pushing: Omit<Pushing, 'hasRead'>): Promise<void> {
  try {
    await waitForContent(deps, attempt, pushing);
  } catch (error) {
    if (error instanceof AgentsNotLiveError) await deps.driver.writeConfig(pushing.spec, attempt.call, { again: true });
    throw error;
  }
}

async function waitForContent(
  deps: StepDeps,
  { runtimeId, signal }: Attempt,
  { gateway, content }: Pick<Pushing, 'gateway' | 'content'>,
): Promise<void> {
  const endpoint = await deps.driver.endpoint(runtimeId);
  if (!endpoint) throw new GatewayConnectError('No gateway runs', { retryable: true });
  const present = content.agents.map(({ gatewayAgentId }) => gatewayAgentId);
  const absent = content.removedAgents.map(({ gatewayAgentId }) => gatewayAgentId);
  const deadlineMs = deps.load.isStarved() ? STARVED_CONTENT_MS : (deps.contentMs ?? CONTENT_MS);
  await waitForAgents(endpoint, activeToken(deps, runtimeId), { present, absent }, { signal, deadlineMs });
  const [first] = present;
  // Skills can only be asked for by agent.
  if (first !== undefined) await gateway.content.awaitSkills(wantedSkills(content), { agentId: first, signal, deadlineMs });
}

interface FilesOfAgent {
  gateway: Gateway;
  gatewayAgentId: string;
  files: readonly ContentFile[];
}

/**
 * The gateway writes the files of the prompt itself; all others, and every removal, go by the driver. Answers those in
 * whose place an agent has put a link or a folder, or for which it has left no room: these do not keep other files from being
 * written.
 */
async function pushFiles(
  deps: StepDeps,
  attempt: Attempt,
  { gateway, gatewayAgentId, files }: FilesOfAgent,
): Promise<ContentFile[]> {
  const refused: ContentFile[] = [];
  for (const file of files) {
    try {
      await pushFile(deps, attempt, { gateway, gatewayAgentId, file });
    } catch (err) {
      if (!isTheirOwnDoing(err)) throw err;
      deps.log.warn({ err, instanceId: attempt.instanceId, agentId: file.agentId }, 'a file of an agent could not be written');
      refused.push(file);
    }
  }
  return refused;
}

function isTheirOwnDoing(error: unknown): boolean {
  if (error instanceof UnsafePathError || error instanceof InstanceDiskFullError) return true;
  return error instanceof GatewayRequestError && error.code === INVALID_REQUEST;
}

interface FileOfAgent {
  gateway: Gateway;
  gatewayAgentId: string;
  file: ContentFile;
}

async function pushFile(
  { driver }: StepDeps,
  { runtimeId, call }: Attempt,
  { gateway, gatewayAgentId, file }: FileOfAgent,
): Promise<void> {
  const { path, content } = file;
  const workspace = driver.paths(runtimeId).workspaceOf(gatewayAgentId);
  if (content === null) await driver.removePaths(runtimeId, [posix.join(workspace, path)], call);
  else if (isPersonaFile(path)) await gateway.files.set({ agentId: gatewayAgentId, name: path, content });
  else await driver.putFiles(runtimeId, workspace, new Map([[path, Buffer.from(content)]]), call);
}
