import type { EntityManager } from '@mikro-orm/postgresql';
import type { MakeId } from '../../domain/ids.ts';
import { MAX_CONTENT_BYTES, MAX_CONTENT_BYTES_WHEN_FULL } from '../../domain/turn.ts';
import type { TurnEnd } from '../../domain/turn.ts';
import { cutText } from '../../lib/text/cut-text.ts';
import { recordEvent } from '../events/record-event.ts';
import { isStorageFull } from '../accounts/stored-bytes.ts';
import { columns, db } from '../db.ts';
import { Agent } from '../entities/agent.ts';
import { Conversation } from '../entities/conversation.ts';
import { Message } from '../entities/message.ts';
import { fetchPlannedRow } from '../rows.ts';
import { sql } from '../sql.ts';
import { TURN_FIELDS, TURN_SOURCES, viewOf } from './find-turn.ts';
import type { TurnView } from './find-turn.ts';

interface EndOptions {
  makeId: MakeId;
  now: Date;
  /** How many bytes an account may store. */
  maxStoredBytes: number;
  /** The gateway has not ended this turn itself and must still be told. */
  abortDue: boolean;
}

const m = columns(Message, 'm');
const agent = columns(Agent, 'a');

/** The turn, and whose it is. */
const ENDED = { ...TURN_FIELDS, accountId: m.account, slug: agent.slug, displayName: agent.displayName };

/**
 * Ends a turn, with its event, in the caller's transaction, which must end no other one, and answers it as it is then. Null, and nothing changed,
 * when it has ended already or is gone: so every turn ends once, whichever process sees its end first. A reply is cut where it is
 * longer than is kept, and shorter while its account stores all that it may.
 */
export async function completeReply(
  em: EntityManager,
  messageId: string,
  end: TurnEnd,
  options: EndOptions,
): Promise<TurnView | null> {
  const { makeId, now, abortDue } = options;
  const said = end.status === 'completed' ? end.content : '';
  const { text: content, isCut } = cutText(said, await roomFor(em, messageId, said, options.maxStoredBytes));
  const message = end.status === 'completed' ? null : end.message;
  const finishReason = end.status === 'completed' ? end.finishReason : null;
  const reason = end.status === 'failed' ? end.reason : end.status === 'cancelled' ? 'cancelled' : null;
  // The order of locks forbids waiting for the conversation here. Another transaction that has it locked adds a later message, or deletes it.
  const reply = columns(Message, 'messages');
  const speaker = columns(Agent, 'agents');
  const ending = columns(Message);
  const conversation = columns(Conversation);
  const row = await fetchPlannedRow(
    em,
    'complete_reply',
    ENDED,
    (fields) => sql`
      with ended as (
        update messages
           set ${ending.status} = ${end.status}, ${ending.content} = ${content}, ${ending.contentTruncated} = ${isCut},
               ${ending.finishReason} = ${finishReason}, ${ending.errorReason} = ${reason}, ${ending.errorMessage} = ${message},
               ${ending.endedAt} = ${now}, ${ending.abortDue} = ${abortDue}
          from agents
         where ${reply.id} = ${messageId} and ${reply.status} = 'pending' and ${speaker.id} = ${reply.agent}
        returning messages.*
      ), seen as (
        update conversations set ${conversation.lastAt} = greatest(${conversation.lastAt}, ${now})
         where ${conversation.id} = (select ${conversation.id} from conversations
                                      where ${conversation.id} = (select ${ending.conversation} from ended) for no key update skip locked)
      )
      select ${fields} from ended ${TURN_SOURCES} join agents a on ${agent.id} = ${m.agent}`,
  );
  if (!row) return null;
  const { accountId, slug, displayName, ...ended } = row;
  await recordEvent(em, {
    id: makeId('evt'),
    accountId,
    instanceId: ended.instanceId,
    type: end.status === 'completed' ? 'agent.message' : 'agent.error',
    agentId: ended.agentId,
    agentSlug: slug,
    agentName: displayName,
    source: 'agent',
    messageId,
    content: end.status === 'completed' ? content : null,
    contentTruncated: isCut,
    finishReason,
    jobName: null,
    error: reason === null || message === null ? null : { code: reason, message },
    createdAt: now,
    // That its row was pending has claimed it.
    occurrenceKey: null,
  });
  return viewOf(ended);
}

/** How many bytes of this reply are kept. */
async function roomFor(em: EntityManager, messageId: string, reply: string, maxStoredBytes: number): Promise<number> {
  if (Buffer.byteLength(reply) <= MAX_CONTENT_BYTES_WHEN_FULL) return MAX_CONTENT_BYTES;
  const row = await db(em).selectFrom('Message').select('account').where('id', '=', messageId).executeTakeFirst();
  const isFull = row !== undefined && (await isStorageFull(em, row.account, maxStoredBytes));
  return isFull ? MAX_CONTENT_BYTES_WHEN_FULL : MAX_CONTENT_BYTES;
}
