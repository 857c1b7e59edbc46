import type { EntityManager } from '@mikro-orm/postgresql';
import { query, run, sql } from '../sql.ts';
import type { SpareAgent } from '../pool/add-member.ts';
import { findSpares } from '../pool/spare-agents.ts';
import { findSealedSecrets } from './secrets.ts';
import type { SealedSecret } from './secrets.ts';
import { changeLifecycle } from '../instances/change-lifecycle.ts';

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
  const [row] = await query<{ generation: number; gatewayEpoch: number | null; runtimeId: string }>(
    em,
    sql`select content_generation::float8 as generation, gateway_epoch::float8 as "gatewayEpoch", runtime_id as "runtimeId" from instances where id = ${instanceId}`,
  );
  const agents = await query<ContentAgent>(
    em,
    sql`select id, gateway_agent_id as "gatewayAgentId", model, status = 'active' as "isActive"
       from agents where instance_id = ${instanceId} and deleted_at is null order by created_at, id`,
  );
  const removedAgents = await query<{ id: string; gatewayAgentId: string }>(
    em,
    sql`select id, gateway_agent_id as "gatewayAgentId"
       from agents where instance_id = ${instanceId} and deleted_at is not null and removed_at is null`,
  );
  const files = await query<ContentFile>(
    em,
    sql`select agent_id as "agentId", path, content, agent_files.generation::float8 as generation
       from agent_files join agents on agents.id = agent_files.agent_id
      where instance_id = ${instanceId} and deleted_at is null and not applied order by agent_id, path`,
  );
  const skills = await query<ContentSkill>(
    em,
    sql`select id, name, type, to_json(requires_env) as "requiresEnv", settings_key as "settingsKey", status = 'active' as "isActive"
       from instance_skills where instance_id = ${instanceId} order by name`,
  );
  const skillFiles = await query<ContentSkillFile>(
    em,
    sql`select name as "skillName", path, content from skill_files join instance_skills on instance_skills.id = skill_id
      where instance_id = ${instanceId} order by name, path`,
  );
  const secrets = await findSealedSecrets(em, instanceId);
  const spares = row ? await findSpares(em, row.runtimeId) : [];
  const { generation: contentGeneration = 0, gatewayEpoch = null } = row ?? {};
  return { instanceId, contentGeneration, gatewayEpoch, agents, spares, removedAgents, files, skills, skillFiles, secrets };
}

/** The gateway has these files; one that was changed since then stays to be done. */
export async function markFilesApplied(em: EntityManager, files: readonly ContentFile[]): Promise<void> {
  for (const { agentId, path, content, generation } of files) {
    const change = content === null ? sql`delete from agent_files` : sql`update agent_files set applied = true`;
    await run(em, sql`${change} where agent_id = ${agentId} and path = ${path} and generation = ${generation}`);
  }
}

/** The gateway has these agents. */
export async function markAgentsActive(em: EntityManager, agentIds: readonly string[]): Promise<void> {
  await run(
    em,
    sql`update agents set status = 'active'
      where id in (select jsonb_array_elements_text(${JSON.stringify(agentIds)}::jsonb)) and deleted_at is null and status <> 'active'`,
  );
}

/** The gateway has these skills. */
export async function markSkillsActive(em: EntityManager, skillIds: readonly string[]): Promise<void> {
  await run(
    em,
    sql`update instance_skills set status = 'active'
      where id in (select jsonb_array_elements_text(${JSON.stringify(skillIds)}::jsonb)) and status <> 'active'`,
  );
}

/** The gateway has these agents, but not all of their files. */
export async function markAgentsFailed(em: EntityManager, agentIds: readonly string[]): Promise<void> {
  await run(
    em,
    sql`update agents set status = 'error' where id in (select jsonb_array_elements_text(${JSON.stringify(agentIds)}::jsonb)) and deleted_at is null`,
  );
}

/** Nothing of these agents is left in the gateway. */
export async function markAgentsRemoved(em: EntityManager, agentIds: readonly string[], now: Date): Promise<void> {
  await run(
    em,
    sql`update agents set removed_at = ${now} where id in (select jsonb_array_elements_text(${JSON.stringify(agentIds)}::jsonb)) and removed_at is null`,
  );
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
