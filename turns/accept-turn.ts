import { createHash } from 'node:crypto';
import type { EntityManager } from '@mikro-orm/postgresql';
import { wakeInstance } from '../database/instances/wake-instance.ts';
import { holdTurn } from '../database/budgets/hold-turn.ts';
import { forgetWaiting } from '../database/messages/waiting-attachments.ts';
import { countPendingTurns, insertTurn, takeTurnNumber } from '../database/messages/accept-turn.ts';
import type { AgentGate, ConversationMark } from '../database/messages/accept-turn.ts';
import { BUDGET_REACHED, reachedMessage } from '../domain/budgets.ts';
import { AppError } from '../domain/errors.ts';
import type { Attachment } from '../domain/attachments.ts';
import { NO_CAPACITY } from '../domain/failures.ts';
import { holdsMessages, isAsleep } from '../domain/lifecycle.ts';
import type { MakeId } from '../domain/ids.ts';
import { MAX_WAITING_TURNS } from '../domain/turn.ts';
import { requireAccepting } from './require-accepting.ts';
import { requireWakeable } from './require-wakeable.ts';
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
  /** Its owner has claimed the first attempt with it: send it as such once this is committed. */
  isClaimed: boolean;
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
  const { instanceId, agentId, sessionId, context = null, mark = null, makeId, now, keyId, promised } = turn;
  const bootId = holdsMessages(gate) ? null : requireAccepting(gate, notAccepting);
  requireActiveAgent(gate);
  if (bootId === null) await requireRoomAndMoney(em, gate, turn);
  const conversation = { newId: makeId('conv'), agentId, sessionId, mark, now };
  const { conversationId, number } = await takeTurnNumber(em, conversation);
  const pending = await countPendingTurns(em, instanceId, conversationId);
  // One more than may wait: the first of them is not waiting, it is the one that runs.
  if (pending > MAX_WAITING_TURNS) throw tooManyWaiting();
  if (turn.attached && !(await forgetWaiting(em, turn.attached.requestMessageId))) throw removedAttachments();
  const messageId = makeId('msg');
  const { requestMessageId, attachments } = turn.attached ?? { requestMessageId: makeId('msg'), attachments: [] };
  const isClaimed = await insertTurn(em, {
    ...turn,
    context,
    attachments,
    replySender: { type: 'agent', id: gate.slug, name: gate.displayName },
    requestMessageId,
    replyMessageId: messageId,
    accountId: gate.accountId,
    conversationId,
    number,
    bootId,
    isHead: pending === 0 && bootId !== null,
    traceId: traceIdOf(messageId),
  });
  const { accountId, model } = gate;
  const place = { messageId, accountId, instanceId, agentId, model, keyId, senderId: turn.sender.id, sessionId };
  const refusal = await holdTurn(em, { ...place, ...promised });
  if (refusal) throw new AppError('payment_required', reachedMessage(refusal, now), { reason: BUDGET_REACHED });
  if (isAsleep(gate)) await wakeInstance(em, instanceId);
  return { messageId, requestMessageId, conversationId, isClaimed };
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
