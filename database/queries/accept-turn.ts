import type { EntityManager } from '@mikro-orm/postgresql';
import type { DesiredStatus, InstanceStatus, TransitionKind } from '../../domain/lifecycle.ts';

/** The part of an instance that decides whether it takes messages. */
export interface InstanceGate {
  accountId: string;
  status: InstanceStatus;
  desiredStatus: DesiredStatus;
  transitionKind: TransitionKind | null;
  bootId: string | null;
}

/** Keeps an instance from starting, stopping and restarting until the transaction ends, and says how it stands. */
export async function holdInstance(em: EntityManager, instanceId: string): Promise<InstanceGate | null> {
  const [row] = await em.execute<InstanceGate[]>(
    `select account_id as "accountId", status, desired_status as "desiredStatus", transition_kind as "transitionKind",
            boot_id as "bootId"
       from instances where id = ? and deleted_at is null for share`,
    [instanceId],
  );
  return row ?? null;
}

/** How an agent of this instance stands; null when it has none of this id. Ask once the instance is held. */
export async function findAgentStatus(em: EntityManager, instanceId: string, agentId: string): Promise<string | null> {
  const [row] = await em.execute<{ status: string }[]>(
    'select status from agents where id = ? and instance_id = ? and deleted_at is null',
    [agentId, instanceId],
  );
  return row?.status ?? null;
}

/** Takes the next number of a conversation, which begins with its first. Locks the conversation. */
export async function takeTurnNumber(
  em: EntityManager,
  conversation: { newId: string; agentId: string; sessionId: string; now: Date },
): Promise<{ conversationId: string; number: number }> {
  const { newId, agentId, sessionId, now } = conversation;
  const [row] = await em.execute<{ conversationId: string; number: number }[]>(
    `insert into conversations (id, agent_id, session_id, last_number, created_at) values (?, ?, ?, 1, ?)
     on conflict (agent_id, session_id) do update set last_number = conversations.last_number + 1
     returning id as "conversationId", last_number::float8 as number`,
    [newId, agentId, sessionId, now],
  );
  if (!row) throw new Error('the conversation gave no number');
  return row;
}

/** How many turns of a conversation have not ended. Ask once the conversation is locked. */
export async function countPendingTurns(em: EntityManager, instanceId: string, conversationId: string): Promise<number> {
  const [row] = await em.execute<{ pending: number }[]>(
    `select count(*)::float8 as pending from messages
      where instance_id = ? and conversation_id = ? and status = 'pending'`,
    [instanceId, conversationId],
  );
  return row?.pending ?? 0;
}

export interface TurnRows {
  requestMessageId: string;
  replyMessageId: string;
  accountId: string;
  instanceId: string;
  agentId: string;
  conversationId: string;
  number: number;
  text: string;
  sender: { type: string; id: string; name: string };
  replySender: { type: string; id: string; name: string };
  traceId: string;
  owner: string;
  bootId: string;
  now: Date;
}

/** Stores both sides of a new turn: what was said, and the reply that is to come. */
export async function insertTurn(em: EntityManager, turn: TurnRows): Promise<void> {
  const shared = [turn.accountId, turn.instanceId, turn.agentId, turn.conversationId, turn.number];
  const { sender, replySender, now } = turn;
  await em.execute(
    `insert into messages (id, account_id, instance_id, agent_id, conversation_id, number, role, content,
                           sender_type, sender_id, sender_name, created_at, status, trace_id, owner, boot_id)
     values (?, ?, ?, ?, ?, ?, 'user', ?, ?, ?, ?, ?, null, null, null, null),
            (?, ?, ?, ?, ?, ?, 'agent', '', ?, ?, ?, ?, 'pending', ?, ?, ?)`,
    [
      turn.requestMessageId,
      ...shared,
      turn.text,
      sender.type,
      sender.id,
      sender.name,
      now,
      turn.replyMessageId,
      ...shared,
      replySender.type,
      replySender.id,
      replySender.name,
      now,
      turn.traceId,
      turn.owner,
      turn.bootId,
    ],
    'run',
  );
}
