import type { EntityManager } from '@mikro-orm/postgresql';
import type { Attachment } from '../../domain/attachments.ts';
import { IS_ROOMLESS } from './find-roomless.ts';
import { IS_TRUSTED } from '../processes/process-lease.ts';
import { columns, notNull, optionalColumns } from '../db.ts';
import { Account } from '../entities/account.ts';
import { Agent } from '../entities/agent.ts';
import { Conversation } from '../entities/conversation.ts';
import { Instance } from '../entities/instance.ts';
import { Message } from '../entities/message.ts';
import { Process } from '../entities/process.ts';
import { fetchPlannedRow, valuesOf } from '../rows.ts';
import type { RowOf, Values } from '../rows.ts';
import { asNumber, sql } from '../sql.ts';
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
  accountName: account.name,
  /** Null: the instance has no such agent. Then what follows means nothing. */
  agentStatus: agent.status,
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

/** The same, and keeps the instance from starting, stopping and restarting until the transaction ends. */
export function holdAgentGate(em: EntityManager, instanceId: string, agentId: string): Promise<AgentGate | null> {
  return fetchPlannedRow(
    em,
    'hold_agent_gate',
    AGENT_GATE,
    (fields) => sql`${agentGate(fields, instanceId, agentId)} for share of i`,
  );
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
  const known = columns(Conversation, 'conversations');
  const excluded = columns(Conversation, 'excluded');
  const c = columns(Conversation);
  const begun = valuesOf(Conversation, {
    id: newId,
    agent: agentId,
    sessionId,
    lastNumber: 1,
    createdAt: now,
    lastAt: now,
    promptHash: mark?.promptHash ?? null,
    instructionsHash: mark?.instructionsHash ?? null,
  });
  const taken = await fetchPlannedRow(
    em,
    'take_turn_number',
    { conversationId: c.id, number: c.lastNumber },
    (fields) => sql`
      insert into conversations ${begun}
      on conflict (${c.agent}, ${c.sessionId}) do update
         set ${c.lastNumber} = ${known.lastNumber} + 1, ${c.lastAt} = greatest(${known.lastAt}, ${excluded.lastAt}),
             ${c.promptHash} = ${excluded.promptHash},
             ${c.instructionsHash} = coalesce(${excluded.instructionsHash}, ${known.instructionsHash})
      returning ${fields}`,
  );
  if (!taken) throw new Error('the conversation gave no number');
  return taken;
}

/** How many turns of a conversation have not ended. Ask once the conversation is locked. */
export async function countPendingTurns(em: EntityManager, instanceId: string, conversationId: string): Promise<number> {
  const message = columns(Message);
  const counted = await fetchPlannedRow(
    em,
    'count_pending_turns',
    { pending: asNumber(sql<bigint>`count(*)`) },
    (fields) => sql`
      select ${fields} from messages
       where ${message.instance} = ${instanceId} and ${message.conversation} = ${conversationId} and ${message.status} = 'pending'`,
  );
  return counted?.pending ?? 0;
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
  const owner = columns(Process, 'p');
  const { attempt } = columns(Message);
  const stored = await fetchPlannedRow(
    em,
    'insert_turn',
    { attempt: sql<number>`max(${attempt})` },
    (fields) => sql`
      with claim as (
        select ${turn.isHead}::boolean
               and exists (select from processes p where ${owner.id} = ${turn.owner} and ${IS_TRUSTED}) as is_made
      ), stored as (
        insert into messages ${valuesOf(Message, requestOf(turn), replyOf(turn))} returning ${attempt}
      )
      select ${fields} from stored`,
  );
  return (stored?.attempt ?? 0) > 0;
}

function requestOf(turn: TurnRows): Values<typeof Message> {
  const { sender } = turn;
  const attachments = turn.attachments.length === 0 ? null : JSON.stringify(turn.attachments);
  return {
    id: turn.requestMessageId,
    account: turn.accountId,
    instance: turn.instanceId,
    agent: turn.agentId,
    conversation: turn.conversationId,
    number: turn.number,
    role: 'user',
    content: turn.text,
    context: turn.context,
    attachments: sql<Attachment[] | null>`${attachments}::jsonb`,
    senderType: sender.type,
    senderId: sender.id,
    senderName: sender.name,
    createdAt: turn.now,
    status: null,
    traceId: null,
    keyId: null,
    owner: null,
    bootId: null,
    attempt: 0,
    sentAt: null,
  };
}

/** The reply that is to come: the turn. */
function replyOf(turn: TurnRows): Values<typeof Message> {
  const { replySender: sender } = turn;
  return {
    id: turn.replyMessageId,
    account: turn.accountId,
    instance: turn.instanceId,
    agent: turn.agentId,
    conversation: turn.conversationId,
    number: turn.number,
    role: 'agent',
    content: '',
    context: null,
    attachments: null,
    senderType: sender.type,
    senderId: sender.id,
    senderName: sender.name,
    createdAt: turn.now,
    status: 'pending',
    traceId: turn.traceId,
    keyId: turn.keyId,
    owner: turn.owner,
    bootId: turn.bootId,
    attempt: sql<number>`(select is_made::int from claim)`,
    sentAt: sql<Date>`(select now() from claim where is_made)`,
  };
}
