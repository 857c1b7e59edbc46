import type { EntityManager } from '@mikro-orm/postgresql';
import type { Attachment } from '../../domain/attachments.ts';
import type { DesiredStatus, InstanceStatus, TransitionKind } from '../../domain/lifecycle.ts';
import type { SleepState } from '../../domain/sleep.ts';
import { IS_ROOMLESS } from './find-roomless.ts';
import { IS_TRUSTED } from '../processes/process-lease.ts';
import { query, sql } from '../sql.ts';
import type { Sql } from '../sql.ts';

/** The part of an instance that decides whether it takes messages. */
export interface InstanceGate {
  accountId: string;
  status: InstanceStatus;
  desiredStatus: DesiredStatus;
  transitionKind: TransitionKind | null;
  bootId: string | null;
  sleepState: SleepState;
  /** It is waking, and the machine has had no room for it for too long. */
  isRoomless: boolean;
}

const GATE = sql`i.account_id as "accountId", i.status, i.desired_status as "desiredStatus", i.transition_kind as "transitionKind",
  i.boot_id as "bootId", i.sleep_state as "sleepState", ${IS_ROOMLESS} as "isRoomless"`;

/** Keeps an instance from starting, stopping and restarting until the transaction ends, and says how it stands. */
export async function holdInstance(em: EntityManager, instanceId: string): Promise<InstanceGate | null> {
  const [row] = await query<InstanceGate>(
    em,
    sql`select ${GATE} from instances i where i.id = ${instanceId} and i.deleted_at is null for share`,
  );
  return row ?? null;
}

/** An instance and one of its agents, with all that a message to it needs. */
export interface AgentGate extends InstanceGate {
  accountName: string;
  /** Null: the instance has no such agent. */
  agentStatus: 'pending' | 'active' | 'error' | 'deleting' | null;
  slug: string;
  displayName: string;
  model: string;
}

const agentGate = (instanceId: string, agentId: string): Sql => sql`
  select ${GATE}, c.name as "accountName", a.status as "agentStatus", a.slug, a.display_name as "displayName", a.model
    from instances i
    join accounts c on c.id = i.account_id
    left join agents a on a.id = ${agentId} and a.instance_id = i.id and a.deleted_at is null
   where i.id = ${instanceId} and i.deleted_at is null`;

/** How an instance and its agent stand; null when there is no such instance. */
export async function findAgentGate(em: EntityManager, instanceId: string, agentId: string): Promise<AgentGate | null> {
  const [row] = await query<AgentGate>(em, agentGate(instanceId, agentId));
  return row ?? null;
}

/** The same, and keeps the instance from starting, stopping and restarting until the transaction ends. */
export async function holdAgentGate(em: EntityManager, instanceId: string, agentId: string): Promise<AgentGate | null> {
  const [row] = await query<AgentGate>(em, sql`${agentGate(instanceId, agentId)} for share of i`);
  return row ?? null;
}

/** What is remembered of a conversation whose client sends all of it with each message. See the entity. */
export interface ConversationMark {
  promptHash: Buffer;
  /** Null: no instructions were sent. */
  instructionsHash: Buffer | null;
}

/** Takes the next number of a conversation, which begins with its first, and marks it. Locks the conversation. */
export async function takeTurnNumber(
  em: EntityManager,
  conversation: { newId: string; agentId: string; sessionId: string; mark: ConversationMark | null; now: Date },
): Promise<{ conversationId: string; number: number }> {
  const { newId, agentId, sessionId, mark, now } = conversation;
  const [row] = await query<{ conversationId: string; number: number }>(
    em,
    sql`insert into conversations (id, agent_id, session_id, last_number, created_at, last_at, prompt_hash, instructions_hash)
     values (${newId}, ${agentId}, ${sessionId}, 1, ${now}, ${now}, ${mark?.promptHash ?? null}, ${mark?.instructionsHash ?? null})
     on conflict (agent_id, session_id) do update
        set last_number = conversations.last_number + 1, last_at = greatest(conversations.last_at, excluded.last_at),
            prompt_hash = excluded.prompt_hash, instructions_hash = coalesce(excluded.instructions_hash, conversations.instructions_hash)
     returning id as "conversationId", last_number::float8 as number`,
  );
  if (!row) throw new Error('the conversation gave no number');
  return row;
}

/** How many turns of a conversation have not ended. Ask once the conversation is locked. */
export async function countPendingTurns(em: EntityManager, instanceId: string, conversationId: string): Promise<number> {
  const [row] = await query<{ pending: number }>(
    em,
    sql`select count(*)::float8 as pending from messages
      where instance_id = ${instanceId} and conversation_id = ${conversationId} and status = 'pending'`,
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
  /** What the agent is told before the text; null: nothing. */
  context: string | null;
  /** The files that came with it. */
  attachments: readonly Attachment[];
  sender: { type: string; id: string; name: string };
  replySender: { type: string; id: string; name: string };
  traceId: string;
  keyId: string | null;
  owner: string;
  /** Null: it is held until the instance wakes. */
  bootId: string | null;
  /** It is the head of its conversation, so its owner may send it as soon as this is committed. */
  isHead: boolean;
  now: Date;
}

/**
 * Stores both sides of a new turn: what was said, and the reply that is to come. True when its owner has thereby claimed
 * the first attempt: it is the head, and that process is trusted (see claimAttempt). The instance must be held.
 */
export async function insertTurn(em: EntityManager, turn: TurnRows): Promise<boolean> {
  const { sender, replySender, now } = turn;
  const attachments = turn.attachments.length === 0 ? null : JSON.stringify(turn.attachments);
  const place = sql`${turn.accountId}, ${turn.instanceId}, ${turn.agentId}, ${turn.conversationId}, ${turn.number}`;
  const rows = await query<{ attempt: number }>(
    em,
    sql`with claim as (
       select ${turn.isHead}::boolean
              and exists (select from processes p where p.id = ${turn.owner} and ${IS_TRUSTED}) as "isMade"
     )
     insert into messages (id, account_id, instance_id, agent_id, conversation_id, number, role, content, context, attachments, sender_type,
                           sender_id, sender_name, created_at, status, trace_id, key_id, owner, boot_id, attempt, sent_at)
     values (${turn.requestMessageId}, ${place}, 'user', ${turn.text}, ${turn.context}, ${attachments}::jsonb, ${sender.type}, ${sender.id}, ${sender.name}, ${now},
             null, null, null, null, null, 0, null),
            (${turn.replyMessageId}, ${place}, 'agent', '', null, null, ${replySender.type}, ${replySender.id}, ${replySender.name}, ${now},
             'pending', ${turn.traceId}, ${turn.keyId}, ${turn.owner}, ${turn.bootId},
             (select "isMade"::int from claim), (select now() from claim where "isMade"))
     returning attempt`,
  );
  return rows.some(({ attempt }) => attempt > 0);
}
