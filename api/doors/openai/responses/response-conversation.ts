import { createHash } from 'node:crypto';
import type { EntityManager } from '@mikro-orm/postgresql';
import { findSessionId } from '../../../../database/messages/find-conversation.ts';
import type { TurnPlace } from '../../../../database/messages/find-turn-place.ts';
import { AppError } from '../../../../domain/errors.ts';
import type { ConversationActor, OwnAgent } from '../../../../turns/conversation/own-agent.ts';
import { readHistory } from '../../../../turns/conversation/read-history.ts';
import { invalidRequest } from '../../../contract/invalid-request.ts';
import type { ReadTranscript } from '../chat/chat-transcript.ts';
import { findOwnResponse } from './own-response.ts';
import { messageOfResponse } from './response.schema.ts';
import type { ResponseRequestBody } from './response-request.ts';
import type { ToldMessage } from '../chat/told-context.ts';

/** The conversation that an input is sent in. */
export interface ResponsePlace {
  /** Undefined: in a new conversation. */
  sessionId: string | undefined;
  /** What the agent must know first, because it was not sent in this conversation. */
  before: readonly ToldMessage[];
}

/** How many earlier messages are sent along when a client continues from the middle of a conversation. */
const MAX_EARLIER = 200;

/** The conversation for an input. Throws `not_found` or `invalid_request` when the agent does not have what the request names. */
export async function placeOfInput(
  em: EntityManager,
  actor: ConversationActor,
  agent: OwnAgent,
  body: ResponseRequestBody,
  transcript: ReadTranscript,
): Promise<ResponsePlace> {
  const { conversation, previous_response_id: previous } = body;
  if (conversation != null) {
    const sessionId = await findSessionId(em, agent.agentId, conversation);
    if (sessionId === null) throw new AppError('not_found', `The agent has no conversation with the id '${conversation}'.`);
    return { sessionId, before: [] };
  }
  if (previous == null) return { sessionId: undefined, before: transcript.before };
  const place = await previousTurn(em, actor, agent, previous);
  if (place.isLast) return { sessionId: place.sessionId, before: [] };
  return { sessionId: undefined, before: await saidUpTo(em, agent, place) };
}

async function previousTurn(em: EntityManager, actor: ConversationActor, agent: OwnAgent, id: string): Promise<TurnPlace> {
  const messageId = messageOfResponse(id);
  const found = messageId === null ? null : await findOwnResponse(em, actor, messageId).catch(orNotFound);
  if (found?.place.agentId === agent.agentId) return found.place;
  const message = `The agent has no response with the id '${id}'.`;
  throw invalidRequest([{ path: 'previous_response_id', message }]);
}

function orNotFound(error: unknown): null {
  if (error instanceof AppError && error.code === 'not_found') return null;
  throw error;
}

/** The last messages of a conversation up to this turn, in order. Those of turns that failed are not among them. */
async function saidUpTo(em: EntityManager, agent: OwnAgent, place: TurnPlace): Promise<ToldMessage[]> {
  const { sessionId, conversationId, number, createdAtMs } = place;
  // Behind both sides of the turn.
  const before = [createdAtMs, conversationId, number, 2] as const;
  const { entries } = await readHistory(em, agent, { sessionId, before, order: 'newest-first', limit: MAX_EARLIER });
  return entries
    .toReversed()
    .filter(({ role, status }) => role === 'user' || status === 'completed')
    .map(({ role, content, attachments }) => ({
      role: role === 'user' ? ('user' as const) : ('assistant' as const),
      content,
      files: attachments ?? [],
    }));
}

/** Identifies a request that its client sends again because it got no answer. */
export function hashOfInput({ promptHash }: ReadTranscript, body: ResponseRequestBody): Buffer {
  const { conversation = null, previous_response_id: previous = null, instructions = null } = body;
  const place = JSON.stringify(['response', conversation, previous, instructions]);
  return createHash('sha256').update(place).update(promptHash).digest();
}
