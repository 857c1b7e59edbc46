import type { EntityManager } from '@mikro-orm/postgresql';
import type { ResponseRequest } from '../../../../database/entities/response.ts';
import { getTurn } from '../../../../database/messages/find-turn.ts';
import type { TurnPlace } from '../../../../database/messages/find-turn-place.ts';
import { findResponse } from '../../../../database/responses/responses.ts';
import { AppError } from '../../../../domain/errors.ts';
import { seesInstance } from '../../../../domain/access/key-scopes.ts';
import type { ConversationActor } from '../../../../turns/conversation/own-agent.ts';
import { presentResponse } from './response.schema.ts';
import type { ResponseObject } from './response.schema.ts';

/** A reply of the caller's agent, with what its request had in it. */
export interface OwnResponse {
  place: TurnPlace;
  request: ResponseRequest;
}

/** The caller's response. Throws AppError `not_found`, also for one that was deleted. */
export async function findOwnResponse(em: EntityManager, actor: ConversationActor, messageId: string): Promise<OwnResponse> {
  const place = await findResponse(em, messageId);
  const isSeen = place?.accountId === actor.accountId && seesInstance(actor.limits, place.instanceId);
  if (!isSeen || place.isDeleted) throw noResponse();
  return { place, request: place.request ?? requestOf(place) };
}

/** The response as it is now. Throws AppError `not_found`. */
export async function readResponse(em: EntityManager, { place, request }: OwnResponse): Promise<ResponseObject> {
  const turn = await getTurn(em, place.messageId);
  if (!turn || turn.isDeleted) throw noResponse();
  return presentResponse(turn, request);
}

export function noResponse(): AppError {
  return new AppError('not_found', 'Response not found');
}

/** A message that came by another door asked for nothing but a reply. */
function requestOf({ agentId }: TurnPlace): ResponseRequest {
  return { model: agentId, instructions: null, metadata: {}, previousResponseId: null, background: false };
}
