import type { EntityManager } from '@mikro-orm/postgresql';
import { IS_ROOMLESS } from './find-roomless.ts';
import { storedBytesOf } from '../accounts/stored-bytes.ts';
import { columns, notNull, optionalColumns } from '../db.ts';
import { Account } from '../entities/account.ts';
import { Agent } from '../entities/agent.ts';
import { Instance } from '../entities/instance.ts';
import { fetchPlannedRow } from '../rows.ts';
import type { RowOf } from '../rows.ts';
import { sql } from '../sql.ts';
import type { Sql } from '../sql.ts';

const i = columns(Instance, 'i');
const account = columns(Account, 'c');
const agent = optionalColumns(Agent, 'a');

const GATE = {
  accountId: i.account,
  status: i.status,
  desiredStatus: i.desiredStatus,
  transitionKind: i.transitionKind,
  bootId: i.bootId,
  sleepState: i.sleepState,
  /** It is waking, and the machine has had no room for it for too long. */
  isRoomless: IS_ROOMLESS,
};

/** The part of an instance that decides whether it takes messages. */
export type InstanceGate = RowOf<typeof GATE>;

/** Keeps an instance from starting, stopping and restarting until the transaction ends, and says how it stands. */
export function holdInstance(em: EntityManager, instanceId: string): Promise<InstanceGate | null> {
  return fetchPlannedRow(
    em,
    'hold_instance',
    GATE,
    (fields) => sql`select ${fields} from instances i where ${i.id} = ${instanceId} and ${i.deletedAt} is null for share`,
  );
}

const AGENT_GATE = {
  ...GATE,
  runtimeId: i.runtimeId,
  accountName: account.name,
  /** Null: the instance has no such agent. Then what follows means nothing. */
  agentStatus: agent.status,
  gatewayAgentId: notNull(agent.gatewayAgentId),
  slug: notNull(agent.slug),
  displayName: notNull(agent.displayName),
  model: notNull(agent.model),
};

/** An instance and one of its agents, with all that a message to it needs. */
export type AgentGate = RowOf<typeof AGENT_GATE>;

const agentGate = (fields: Sql, instanceId: string, agentId: string): Sql => sql`
  select ${fields} from instances i join accounts c on ${account.id} = ${i.account}
    left join agents a on ${agent.id} = ${agentId} and ${agent.instance} = ${i.id} and ${agent.deletedAt} is null
   where ${i.id} = ${instanceId} and ${i.deletedAt} is null`;

/** How an instance and its agent stand; null when there is no such instance. */
export function findAgentGate(em: EntityManager, instanceId: string, agentId: string): Promise<AgentGate | null> {
  return fetchPlannedRow(em, 'agent_gate', AGENT_GATE, (fields) => agentGate(fields, instanceId, agentId));
}

const HELD_GATE = { ...AGENT_GATE, storedBytes: storedBytesOf(i.account) };

/** The same, and how many bytes its account stores. */
export type HeldAgentGate = RowOf<typeof HELD_GATE>;

/** The same, and keeps the instance from starting, stopping and restarting until the transaction ends. */
export function holdAgentGate(em: EntityManager, instanceId: string, agentId: string): Promise<HeldAgentGate | null> {
  return fetchPlannedRow(
    em,
    'hold_agent_gate',
    HELD_GATE,
    (fields) => sql`${agentGate(fields, instanceId, agentId)} for share of i`,
  );
}
