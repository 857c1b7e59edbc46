import { getTurn } from '../../../../database/messages/find-turn.ts';
import type { ReplyPart } from '../../../../turns/conversation/stream-reply.ts';
import type { Deps } from '../../../deps.ts';
import type { StreamFrame } from '../../../http/event-stream.ts';
import { readResponse } from './own-response.ts';
import type { OwnResponse } from './own-response.ts';
import { responseEvents } from './response-events.ts';

/** The events of a response behind a sequence number; without one, all of them. Throws as responseEvents does. */
export async function* streamResponse(
  { orm }: Pick<Deps, 'orm'>,
  own: OwnResponse,
  parts: AsyncIterable<ReplyPart>,
  after?: number,
): AsyncGenerator<StreamFrame> {
  const { messageId } = own.place;
  const { request } = own;
  // So that a client that goes on knows that it is connected, though the agent says nothing yet.
  if (after !== undefined) yield { comment: 'connected' };
  const response = await readResponse(orm.em.fork(), own);
  yield* responseEvents({ response, messageId, request, readEnd: () => getTurn(orm.em.fork(), messageId) }, parts, after);
}
