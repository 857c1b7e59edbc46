import type { EntityManager } from '@mikro-orm/postgresql';
import type { MakeId } from '../../domain/ids.ts';
import { MAX_CONTENT_BYTES } from '../../domain/turn.ts';
import type { TurnEnd } from '../../domain/turn.ts';
import { cutText } from '../../lib/cut-text.ts';
import { recordEvent } from './record-event.ts';
import { query, sql } from '../sql.ts';

interface EndOptions {
  makeId: MakeId;
  now: Date;
  /** The gateway has not ended this turn itself and must still be told. */
  abortDue: boolean;
}

interface EndedReply {
  accountId: string;
  instanceId: string;
  agentId: string;
  slug: string;
  displayName: string;
}

/**
 * Ends a turn, with its event, in the caller's transaction, which must end no other one. False, and nothing changed,
 * when it has ended already or is gone: so every turn ends once, whichever process sees its end first. A reply is cut where it is
 * longer than is kept.
 */
export async function completeReply(em: EntityManager, messageId: string, end: TurnEnd, options: EndOptions): Promise<boolean> {
  const { makeId, now, abortDue } = options;
  const { text: content, isCut } = cutText(end.status === 'completed' ? end.content : '', MAX_CONTENT_BYTES);
  const message = end.status === 'completed' ? null : end.message;
  const finishReason = end.status === 'completed' ? end.finishReason : null;
  const reason = end.status === 'failed' ? end.reason : end.status === 'cancelled' ? 'cancelled' : null;
  const [ended] = await query<EndedReply>(
    em,
    sql`update messages set status = ${end.status}, content = ${content}, content_truncated = ${isCut}, finish_reason = ${finishReason}, error_reason = ${reason}, error_message = ${message}, ended_at = ${now}, abort_due = ${abortDue}
       from agents
      where messages.id = ${messageId} and messages.status = 'pending' and agents.id = messages.agent_id
     returning messages.account_id as "accountId", messages.instance_id as "instanceId", messages.agent_id as "agentId",
               agents.slug, agents.display_name as "displayName"`,
  );
  if (!ended) return false;
  await recordEvent(em, {
    id: makeId('evt'),
    accountId: ended.accountId,
    instanceId: ended.instanceId,
    type: end.status === 'completed' ? 'agent.message' : 'agent.error',
    agentId: ended.agentId,
    agentSlug: ended.slug,
    agentName: ended.displayName,
    source: 'agent',
    messageId,
    content: end.status === 'completed' ? content : null,
    contentTruncated: isCut,
    finishReason,
    jobName: null,
    error: reason === null || message === null ? null : { code: reason, message },
    createdAt: now,
    occurrenceKey: `turn:${messageId}`,
  });
  return true;
}
