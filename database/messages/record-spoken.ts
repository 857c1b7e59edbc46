import type { EntityManager } from '@mikro-orm/postgresql';
import type { MakeId } from '../../domain/ids.ts';
import { MAX_CONTENT_BYTES } from '../../domain/turn.ts';
import type { FinishReason, TurnFailure } from '../../domain/turn.ts';
import { cutText } from '../../lib/text/cut-text.ts';
import { recordEvent } from '../events/record-event.ts';
import { columns } from '../db.ts';
import { Conversation } from '../entities/conversation.ts';
import { Message } from '../entities/message.ts';
import { valuesOf } from '../rows.ts';
import { run, sql } from '../sql.ts';

/** An agent that sends a message unprompted. */
export interface Speaker {
  accountId: string;
  instanceId: string;
  agentId: string;
  slug: string;
  displayName: string;
}

export interface RecordOptions {
  makeId: MakeId;
  now: Date;
  /** How many bytes an account may store. */
  maxStoredBytes: number;
}

export interface SpokenMessage {
  eventId: string;
  speaker: Speaker;
  /** In which of the agent's conversations it was said; null, or one that is not the agent's: in none. */
  conversationId: string | null;
  /** Of the job that it is the result of; null when it is none. */
  jobName: string | null;
  /** How late its run began, because the instance was asleep. */
  lateMs?: number | null;
  /** By the gateway's clock. */
  saidAt: Date;
  /** Null where a run of a job failed. */
  content: string | null;
  contentTruncated: boolean;
  /** Null for results of jobs. */
  finishReason: FinishReason | null;
  error: { code: TurnFailure; message: string } | null;
}

/**
 * Records what an agent sent unprompted, as a message that has ended and its event, in the caller's transaction, which
 * must have claimed the occurrence and do nothing afterwards. Locks the conversation. What is longer than is kept is cut.
 */
export async function recordSpoken(
  em: EntityManager,
  spoken: SpokenMessage,
  { makeId, now }: Pick<RecordOptions, 'makeId' | 'now'>,
): Promise<void> {
  const { eventId, speaker, jobName, lateMs = null, finishReason, error } = spoken;
  const cut = spoken.content === null ? null : cutText(spoken.content, MAX_CONTENT_BYTES);
  const content = cut?.text ?? null;
  const contentTruncated = spoken.contentTruncated || (cut?.isCut ?? false);
  const source = jobName === null ? 'agent' : 'cron';
  const messageId = makeId('msg');
  await insertSpoken(em, { ...spoken, content, contentTruncated, messageId, source, now });
  const completed = source === 'cron' ? 'cron.completed' : 'agent.message';
  await recordEvent(em, {
    id: eventId,
    accountId: speaker.accountId,
    instanceId: speaker.instanceId,
    type: error === null ? completed : 'agent.error',
    agentId: speaker.agentId,
    agentSlug: speaker.slug,
    agentName: speaker.displayName,
    source,
    messageId,
    content,
    contentTruncated,
    finishReason,
    jobName,
    lateMs,
    error,
    createdAt: now,
    occurrenceKey: null,
  });
}

interface SpokenRow extends SpokenMessage {
  messageId: string;
  source: 'cron' | 'agent';
  now: Date;
}

/** The moment at which it was said is never later than now: the gateway's clock may be ahead of ours. */
async function insertSpoken(em: EntityManager, row: SpokenRow): Promise<void> {
  const { messageId, speaker, conversationId, source, jobName, content, contentTruncated, finishReason, error, saidAt, now } =
    row;
  const at = saidAt < now ? saidAt : now;
  const conversation = columns(Conversation);
  const values = valuesOf(Message, {
    id: messageId,
    account: speaker.accountId,
    instance: speaker.instanceId,
    agent: speaker.agentId,
    conversation: sql<string | null>`(select ${conversation.id} from place)`,
    number: sql<number | null>`(select ${conversation.lastNumber} from place)`,
    role: 'agent',
    content: content ?? '',
    contentTruncated,
    senderType: 'agent',
    senderId: speaker.slug,
    senderName: speaker.displayName,
    createdAt: at,
    endedAt: at,
    source,
    jobName,
    status: error === null ? 'completed' : 'failed',
    finishReason,
    errorReason: error?.code ?? null,
    errorMessage: error?.message ?? null,
    traceId: null,
  });
  await run(
    em,
    sql`with place as (
          update conversations
             set ${conversation.lastNumber} = ${conversation.lastNumber} + 1, ${conversation.lastAt} = greatest(${conversation.lastAt}, ${at})
           where ${conversation.id} = ${conversationId} and ${conversation.agent} = ${speaker.agentId} and ${conversation.deletedAt} is null
          returning ${conversation.id}, ${conversation.lastNumber}
        )
        insert into messages ${values}`,
  );
}
