import type { EntityManager } from '@mikro-orm/postgresql';
import type { Attachment } from '../../domain/agents/attachments.ts';
import type { NamedBudget } from '../../domain/money/budgets.ts';
import { takeRoom } from '../budgets/take-room.ts';
import type { ModelCallSize } from '../budgets/take-room.ts';
import { columns, notNull, optionalColumns } from '../db.ts';
import { Budget } from '../entities/budget.ts';
import { Conversation } from '../entities/conversation.ts';
import { Message } from '../entities/message.ts';
import { Process } from '../entities/process.ts';
import { IS_TRUSTED } from '../processes/process-lease.ts';
import { fetchPlannedRow, valuesOf } from '../rows.ts';
import type { Values } from '../rows.ts';
import { asNumber, sql } from '../sql.ts';
import type { Sql } from '../sql.ts';

/** What is remembered of a conversation whose client sends all of it with each message. See the entity. */
export interface ConversationMark {
  promptHash: Buffer;
  /** Null: no instructions were sent. */
  instructionsHash: Buffer | null;
}

export interface NewTurnRows {
  requestMessageId: string;
  replyMessageId: string;
  accountId: string;
  instanceId: string;
  agentId: string;
  model: string;
  /** The id of the conversation if it begins with this turn. */
  newConversationId: string;
  /** Empty for the agent's one conversation without a name. */
  sessionId: string;
  /** Null: an earlier mark is cleared. */
  mark: ConversationMark | null;
  text: string;
  /** What the agent is told before the text; null: nothing. */
  context: string | null;
  /** The files that came with it. */
  attachments: readonly Attachment[];
  sender: { type: string; id: string; name: string };
  replySender: { type: string; id: string; name: string };
  traceId: string;
  /** Null for a token. */
  keyId: string | null;
  owner: string;
  /** Null: it is held until the instance wakes. */
  bootId: string | null;
  /** What one model call of it may use at most, which is reserved in its budgets. Null: it makes none. */
  promised: ModelCallSize | null;
  now: Date;
}

export interface StoredTurn {
  conversationId: string;
  /** How many turns of the conversation before this one have not ended, or a few more while others end. */
  pending: number;
  /**
   * Its owner has claimed the first attempt with it: it is the head of its conversation, and that process is trusted (see
   * claimAttempt).
   */
  isClaimed: boolean;
  /** The first budget without room for it: then the transaction must be rolled back. */
  refusedBy: NamedBudget | null;
}

const c = columns(Conversation);
const known = columns(Conversation, 'known');
const message = columns(Message);
const process = columns(Process, 'p');
const budget = optionalColumns(Budget, 'b');

const STORED = {
  conversationId: sql<string>`turn.conversation_id`,
  pending: asNumber(sql<bigint>`turn.pending`),
  attempt: sql<number>`turn.attempt`,
  /** Null: all have room. Then what follows means nothing. */
  budgetId: budget.id,
  budgetName: notNull(budget.name),
  budgetPeriod: notNull(budget.period),
};

/**
 * Stores both sides of a new turn at the end of its conversation: what was said, and the reply that is to come. The conversation
 * begins with its first turn. The instance must be held. Locks the conversation, and then what is spent of the turn's budgets.
 */
export async function storeTurn(em: EntityManager, turn: NewTurnRows): Promise<StoredTurn> {
  const stored = await fetchPlannedRow(
    em,
    'store_turn',
    STORED,
    (fields) => sql`
      with seen as (${seenConversation(turn)}),
      taken as (${takeNumber(turn)}),
      place as (${PLACE}),
      claim as (
        select ${turn.bootId !== null}::boolean and place.pending = 0
               and exists (select from processes p where ${process.id} = ${turn.owner} and ${IS_TRUSTED}) as is_made
          from place
      ),
      stored as (insert into messages ${valuesOf(Message, requestOf(turn), replyOf(turn))} returning ${message.attempt}),
      turn as (
        select place.conversation_id, place.pending, (select max(${message.attempt}) from stored) as attempt,
               (select date_trunc('milliseconds', now())) as now
          from place
      )
      select ${fields} from turn
       cross join lateral (select case when turn.attempt is not null and ${turn.promised !== null}::boolean
                                       then ${takeRoom(budgeted(turn), sql`turn.now`)} end as refused_by) room
        left join budgets b on ${budget.id} = room.refused_by`,
  );
  if (!stored) throw new Error('the turn was not stored');
  const { conversationId, pending, attempt, budgetId, budgetName: name, budgetPeriod: period } = stored;
  const refusedBy = budgetId !== null ? { budgetId, name, period } : null;
  return { conversationId, pending, isClaimed: attempt > 0, refusedBy };
}

/** The conversation as it was when the statement began, with its pending turns. */
const seenConversation = ({ instanceId, agentId, sessionId }: NewTurnRows): Sql => sql`
  select ${known.id}, ${known.lastNumber},
         (select count(*) from messages
           where ${message.instance} = ${instanceId} and ${message.conversation} = ${known.id} and ${message.status} = 'pending') as pending
    from conversations known where ${known.agent} = ${agentId} and ${known.sessionId} = ${sessionId}`;

/** Takes the next number of the conversation, which is locked by that, and marks it. */
function takeNumber({ newConversationId, agentId, sessionId, mark, now }: NewTurnRows): Sql {
  const excluded = columns(Conversation, 'excluded');
  const begun = valuesOf(Conversation, {
    id: newConversationId,
    agent: agentId,
    sessionId,
    lastNumber: 1,
    createdAt: now,
    lastAt: now,
    promptHash: mark?.promptHash ?? null,
    instructionsHash: mark?.instructionsHash ?? null,
  });
  return sql`
    insert into conversations as known ${begun}
    on conflict (${c.agent}, ${c.sessionId}) do update
       set ${c.lastNumber} = ${known.lastNumber} + 1, ${c.lastAt} = greatest(${known.lastAt}, ${excluded.lastAt}),
           ${c.promptHash} = ${excluded.promptHash},
           ${c.instructionsHash} = coalesce(${excluded.instructionsHash}, ${known.instructionsHash})
    returning ${known.id}, ${known.lastNumber}`;
}

/**
 * Where the turn stands. Each number that was taken since the statement began, while it waited for the lock, counts as a pending
 * turn: those are not seen. One that ended since then counts too: then the turn waits for a look, and is no head by itself.
 */
const PLACE = sql`
  select taken.id as conversation_id, taken.last_number as number,
         case when seen.id = taken.id then seen.pending + taken.last_number - 1 - seen.last_number else taken.last_number - 1 end as pending
    from taken left join seen on true`;

function budgeted(turn: NewTurnRows) {
  const { replyMessageId: messageId, sender, promised } = turn;
  return {
    ...turn,
    messageId,
    senderId: sender.id,
    inputTokens: promised?.inputTokens ?? 0,
    outputTokens: promised?.outputTokens ?? 0,
  };
}

function sideOf(turn: NewTurnRows) {
  return {
    account: turn.accountId,
    instance: turn.instanceId,
    agent: turn.agentId,
    conversation: sql<string>`(select conversation_id from place)`,
    number: sql<number>`(select number from place)`,
    createdAt: turn.now,
  };
}

function requestOf(turn: NewTurnRows): Values<typeof Message> {
  const { sender } = turn;
  const attachments = turn.attachments.length === 0 ? null : JSON.stringify(turn.attachments);
  return {
    ...sideOf(turn),
    id: turn.requestMessageId,
    role: 'user',
    content: turn.text,
    context: turn.context,
    attachments: sql<Attachment[] | null>`${attachments}::jsonb`,
    senderType: sender.type,
    senderId: sender.id,
    senderName: sender.name,
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
function replyOf(turn: NewTurnRows): Values<typeof Message> {
  const { replySender: sender } = turn;
  return {
    ...sideOf(turn),
    id: turn.replyMessageId,
    role: 'agent',
    content: '',
    context: null,
    attachments: null,
    senderType: sender.type,
    senderId: sender.id,
    senderName: sender.name,
    status: 'pending',
    traceId: turn.traceId,
    keyId: turn.keyId,
    owner: turn.owner,
    bootId: turn.bootId,
    attempt: sql<number>`(select is_made::int from claim)`,
    sentAt: sql<Date>`(select now() from claim where is_made)`,
  };
}
