import { createHash } from 'node:crypto';
import type { EntityManager } from '@mikro-orm/postgresql';
import { wakeInstance } from '../database/instances/sleep/wake-instance.ts';
import { forgetWaiting } from '../database/messages/waiting-attachments.ts';
import type { AgentGate } from '../database/messages/agent-gate.ts';
import { storeTurn } from '../database/messages/store-turn.ts';
import type { ConversationMark, NewTurnRows } from '../database/messages/store-turn.ts';
import type { PendingTurn } from '../database/messages/pending-turns.ts';
import { BUDGET_REACHED, reachedMessage } from '../domain/money/budgets.ts';
import { AppError } from '../domain/errors.ts';
import type { Attachment } from '../domain/agents/attachments.ts';
import { NO_CAPACITY } from '../domain/failures.ts';
import { holdsMessages, isAsleep } from '../domain/lifecycle.ts';
import type { MakeId } from '../domain/ids.ts';
import { MAX_WAITING_TURNS } from '../domain/turn.ts';
import { requireAccepting } from './require-accepting.ts';
import { requireWakeable } from './require-wakeable.ts';
import { TurnClaim } from './turn-claim.ts';
import { NO_ROOM } from './turn-end.ts';

export interface NewTurn {
  instanceId: string;
  agentId: string;
  /** How the customer names the conversation; empty for the agent's one conversation without a name. */
  sessionId: string;
  text: string;
  /** The API key with which it was sent; null for a token. */
  keyId: string | null;
  /** What one model call of it may use at most. */
  promised: { inputTokens: number; outputTokens: number };
  /** What the agent is told before the text and history does not show. */
  context?: string | undefined;
  /** The files that lie in the workspace for it already, in the folder of this id. */
  attached?: Attached | null | undefined;
  mark?: ConversationMark | undefined;
  sender: { type: string; id: string; name: string };
  /** The process that will send it: what TurnSender.owner() says. */
  owner: string;
  makeId: MakeId;
  now: Date;
}

/** Files of a message that is to be accepted under this id. */
export interface Attached {
  requestMessageId: string;
  attachments: readonly Attachment[];
}

export interface AcceptedTurn {
  /** The reply's id, which is the turn's name everywhere. */
  messageId: string;
  requestMessageId: string;
  conversationId: string;
  /** Its owner has claimed the first attempt with it: send it by that once this is committed. Null: it may wait for others. */
  claim: TurnClaim | null;
}

const SOON_SECONDS = 5;
const LATER_SECONDS = 30;

/**
 * Stores a message and its pending reply in the caller's transaction, which holds this gate, at the end of its
 * conversation, and reserves what it may cost. A sleeping instance is woken by it, and holds it until it runs. Once that is committed the turn will end, whatever dies. Throws AppError: not_found,
 * instance_not_ready, rate_limited, payment_required when a budget has no room for it, or the
 * instance sleeps and may not run.
 */
export async function acceptTurn(em: EntityManager, gate: AgentGate, turn: NewTurn): Promise<AcceptedTurn> {
  const { instanceId, context = null, mark = null, makeId, now } = turn;
  const begunAt = performance.now();
  const bootId = holdsMessages(gate) ? null : requireAccepting(gate, notAccepting);
  requireActiveAgent(gate);
  if (bootId === null) await requireRoomAndMoney(em, gate, turn);
  if (turn.attached && !(await forgetWaiting(em, turn.attached.requestMessageId))) throw removedAttachments();
  const messageId = makeId('msg');
  const { requestMessageId, attachments } = turn.attached ?? { requestMessageId: makeId('msg'), attachments: [] };
  const rows = {
    ...turn,
    context,
    mark,
    attachments,
    replySender: { type: 'agent', id: gate.slug, name: gate.displayName },
    requestMessageId,
    replyMessageId: messageId,
    accountId: gate.accountId,
    model: gate.model,
    newConversationId: makeId('conv'),
    bootId,
    traceId: traceIdOf(messageId),
  };
  const { conversationId, pending, isClaimed, refusedBy } = await storeTurn(em, rows);
  // One more than may wait: the first of them is not waiting, it is the one that runs.
  if (pending > MAX_WAITING_TURNS) throw tooManyWaiting();
  if (refusedBy) throw new AppError('payment_required', reachedMessage(refusedBy, now), { reason: BUDGET_REACHED });
  if (isAsleep(gate)) await wakeInstance(em, instanceId);
  const claim = isClaimed ? new TurnClaim(claimedTurn(gate, rows, conversationId), begunAt) : null;
  return { messageId, requestMessageId, conversationId, claim };
}

/** The turn that was stored, at its first attempt. */
function claimedTurn({ runtimeId, gatewayAgentId }: AgentGate, rows: NewTurnRows, conversationId: string): PendingTurn {
  const { replyMessageId: messageId, instanceId, context, text, now, traceId, owner, bootId } = rows;
  return {
    ...{ messageId, instanceId, runtimeId, conversationId, gatewayAgentId, traceId, owner, bootId },
    text: context === null ? text : `${context}\n\n${text}`,
    saidAtMs: now.getTime(),
    attempt: 1,
    deaths: 0,
  };
}

function notAccepting(reason: string): string {
  return `The instance does not accept messages at the moment (${reason}). Send the message again when the instance is running.`;
}

async function requireRoomAndMoney(em: EntityManager, gate: AgentGate, { instanceId, now }: NewTurn): Promise<void> {
  if (gate.isRoomless) {
    const retryAfterSeconds = LATER_SECONDS;
    throw new AppError('instance_not_ready', NO_ROOM, { reason: NO_CAPACITY.code, retryAfterSeconds });
  }
  await requireWakeable(em, { accountId: gate.accountId, instanceId }, now);
}

/** Names a turn in every model call: 32 hex digits, made of its random id. */
export function traceIdOf(messageId: string): string {
  return createHash('sha256').update(messageId).digest('hex').slice(0, 32);
}

function requireActiveAgent({ agentStatus: status }: AgentGate): void {
  if (status === null || status === 'deleting') throw new AppError('not_found', 'Agent not found');
  if (status !== 'active')
    throw new AppError(
      'instance_not_ready',
      `The agent does not accept messages yet (status: ${status}). Send the message again in a moment.`,
      {
        reason: status,
        retryAfterSeconds: SOON_SECONDS,
      },
    );
}

function removedAttachments(): AppError {
  return new AppError('unavailable', 'The attachments took too long and were removed. Send the message again.', {
    retryAfterSeconds: SOON_SECONDS,
  });
}

function tooManyWaiting(): AppError {
  const message = `${MAX_WAITING_TURNS} messages are already waiting in this conversation. Send the message again when some of them have been answered.`;
  return new AppError('rate_limited', message, { retryAfterSeconds: SOON_SECONDS });
}
