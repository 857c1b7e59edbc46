import type { EntityManager } from '@mikro-orm/postgresql';
import { db } from '../db.ts';
import { anyOf } from '../sql.ts';
import type { SpareAgent } from '../pool/add-member.ts';
import { findSpares } from '../pool/spare-agents.ts';
import { findSealedSecrets } from './secrets.ts';
import type { SealedSecret } from './secrets.ts';
import { changeLifecycle } from '../instances/lifecycle/change-lifecycle.ts';

export interface ContentAgent {
  id: string;
  gatewayAgentId: string;
  model: string;
  /** A gateway of this instance has had it. */
  isActive: boolean;
}

export interface ContentFile {
  agentId: string;
  path: string;
  /** Null: to be removed. */
  content: string | null;
  generation: number;
}

export interface ContentSkill {
  id: string;
  name: string;
  type: 'built-in' | 'custom';
  /** The variables that it asks for. */
  requiresEnv: string[];
  /** Under which a gateway keeps its settings; null when its SKILL.md alone says it. */
  settingsKey: string | null;
  /** A gateway of this instance has had it. */
  isActive: boolean;
}

export interface ContentSkillFile {
  skillName: string;
  path: string;
  content: string;
}

/** What a gateway shall hold. */
export interface GatewayContentRows {
  instanceId: string;
  /** At least as old as everything below. */
  contentGeneration: number;
  /** The attempt that started its process, see Instance. */
  gatewayEpoch: number | null;
  agents: ContentAgent[];
  /** No customer's, but in the gateway: their removal would make it read its configuration again. */
  spares: SpareAgent[];
  /** Deleted, and not yet gone from the gateway. */
  removedAgents: { id: string; gatewayAgentId: string }[];
  /** Not yet on the gateway. */
  files: ContentFile[];
  skills: ContentSkill[];
  skillFiles: ContentSkillFile[];
  secrets: SealedSecret[];
}

/** Reads what the gateway of this instance shall hold. */
export async function loadGatewayContent(em: EntityManager, instanceId: string): Promise<GatewayContentRows> {
  // The generation is read first: a change made during the reads below has a higher one, so it is applied again and never taken for applied.
  const instance = await db(em)
    .selectFrom('Instance')
    .select(['contentGeneration', 'gatewayEpoch', 'runtimeId'])
    .where('id', '=', instanceId)
    .executeTakeFirst();
  const { contentGeneration = 0, gatewayEpoch = null } = instance ?? {};
  return {
    ...{ instanceId, contentGeneration, gatewayEpoch },
    ...(await loadAgents(em, instanceId)),
    files: await loadFiles(em, instanceId),
    ...(await loadSkills(em, instanceId)),
    secrets: await findSealedSecrets(em, instanceId),
    spares: instance ? await findSpares(em, instance.runtimeId) : [],
  };
}

async function loadAgents(em: EntityManager, instanceId: string): Promise<Pick<GatewayContentRows, 'agents' | 'removedAgents'>> {
  const ofInstance = db(em).selectFrom('Agent').where('instance', '=', instanceId);
  const agents = await ofInstance
    .select(['id', 'gatewayAgentId', 'model', 'status'])
    .where('deletedAt', 'is', null)
    .orderBy('createdAt')
    .orderBy('id')
    .execute();
  const removedAgents = await ofInstance
    .select(['id', 'gatewayAgentId'])
    .where('deletedAt', 'is not', null)
    .where('removedAt', 'is', null)
    .execute();
  return { agents: agents.map(({ status, ...agent }) => ({ ...agent, isActive: status === 'active' })), removedAgents };
}

async function loadFiles(em: EntityManager, instanceId: string): Promise<ContentFile[]> {
  const files = await db(em)
    .selectFrom('AgentFile as file')
    .innerJoin('Agent as agents', 'agents.id', 'file.agent')
    .select(['file.agent', 'file.path', 'file.content', 'file.generation'])
    .where('agents.instance', '=', instanceId)
    .where('agents.deletedAt', 'is', null)
    .where('file.applied', '=', false)
    .orderBy('file.agent')
    .orderBy('file.path')
    .execute();
  return files.map(({ agent, ...file }) => ({ agentId: agent, ...file }));
}

async function loadSkills(em: EntityManager, instanceId: string): Promise<Pick<GatewayContentRows, 'skills' | 'skillFiles'>> {
  const skills = await db(em)
    .selectFrom('InstanceSkill')
    .select(['id', 'name', 'type', 'requiresEnv', 'settingsKey', 'status'])
    .where('instance', '=', instanceId)
    .orderBy('name')
    .execute();
  const skillFiles = await db(em)
    .selectFrom('SkillFile as file')
    .innerJoin('InstanceSkill as skills', 'skills.id', 'file.skill')
    .select(['skills.name as skillName', 'file.path', 'file.content'])
    .where('skills.instance', '=', instanceId)
    .orderBy('skills.name')
    .orderBy('file.path')
    .execute();
  return {
    skills: skills.map(({ status, settingsKey, ...skill }) => ({
      ...skill,
      settingsKey: settingsKey ?? null,
      isActive: status === 'active',
    })),
    skillFiles,
  };
}

/** The gateway has these files; one that was changed since then stays to be done. */
export async function markFilesApplied(em: EntityManager, files: readonly ContentFile[]): Promise<void> {
  for (const { agentId, path, content, generation } of files) {
    const place = { agent: agentId, path, generation };
    if (content === null)
      await db(em)
        .deleteFrom('AgentFile')
        .where((eb) => eb.and(place))
        .execute();
    else
      await db(em)
        .updateTable('AgentFile')
        .set({ applied: true })
        .where((eb) => eb.and(place))
        .execute();
  }
}

/** The gateway has these agents. */
export async function markAgentsActive(em: EntityManager, agentIds: readonly string[]): Promise<void> {
  await db(em)
    .updateTable('Agent')
    .set({ status: 'active' })
    .where('id', '=', anyOf(agentIds))
    .where('deletedAt', 'is', null)
    .where('status', '<>', 'active')
    .execute();
}

/** The gateway has these skills. */
export async function markSkillsActive(em: EntityManager, skillIds: readonly string[]): Promise<void> {
  await db(em)
    .updateTable('InstanceSkill')
    .set({ status: 'active' })
    .where('id', '=', anyOf(skillIds))
    .where('status', '<>', 'active')
    .execute();
}

/** The gateway has these agents, but not all of their files. */
export async function markAgentsFailed(em: EntityManager, agentIds: readonly string[]): Promise<void> {
  await db(em)
    .updateTable('Agent')
    .set({ status: 'error' })
    .where('id', '=', anyOf(agentIds))
    .where('deletedAt', 'is', null)
    .execute();
}

/** Nothing of these agents is left in the gateway. */
export async function markAgentsRemoved(em: EntityManager, agentIds: readonly string[], now: Date): Promise<void> {
  await db(em)
    .updateTable('Agent')
    .set({ removedAt: now })
    .where('id', '=', anyOf(agentIds))
    .where('removedAt', 'is', null)
    .execute();
}

/** The gateway holds what it should as of this generation, in the caller's transaction. False when a newer attempt has begun. */
export async function markContentApplied(
  em: EntityManager,
  { instanceId, epoch, contentGeneration }: { instanceId: string; epoch: number; contentGeneration: number },
): Promise<boolean> {
  const applied = await changeLifecycle(em, {
    instanceId,
    happening: { kind: 'content-applied', contentGeneration },
    allows: (row) => row.epoch === epoch,
  });
  return applied !== null;
}
