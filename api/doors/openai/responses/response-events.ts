import { AppError } from '../../../../domain/errors.ts';
import { NoReplyError } from '../../../../turns/conversation/no-reply.ts';
import type { ReplyPart } from '../../../../turns/conversation/stream-reply.ts';
import type { TurnView } from '../../../../database/messages/find-turn.ts';
import type { StreamFrame } from '../../../http/event-stream.ts';
import { presentOutput, presentResponse, textPart } from './response.schema.ts';
import type { ResponseObject } from './response.schema.ts';
import type { ResponseRequest } from '../../../../database/entities/response.ts';
import { EventNumbers, readNumber } from './event-numbers.ts';
import type { Received } from './event-numbers.ts';
import { toldHere } from '../chat/told.ts';

interface Streamed {
  /** As it is when the stream begins. */
  response: ResponseObject;
  messageId: string;
  request: ResponseRequest;
  /** The turn as it ended. */
  readEnd: () => Promise<TurnView | null>;
}

const AT = { output_index: 0, content_index: 0 };

/**
 * A reply as the events of OpenAI's Responses API, without those up to the sequence number `after`. A turn that fails ends
 * with `response.failed`. Throws what the client is told where the turn goes on without it, and NoReplyError
 * `not_continued` where the reply is another one than what the client has of it.
 */
export async function* responseEvents(
  streamed: Streamed,
  parts: AsyncIterable<ReplyPart>,
  after = -1,
): AsyncGenerator<StreamFrame> {
  const { messageId, request } = streamed;
  const at = { ...AT, item_id: messageId };
  for (const [number, [type, data]] of headOf(streamed, at).entries()) if (number > after) yield frame(type, number, data);
  const numbers = new EventNumbers();
  const place = new ReceivedPlace(readNumber(after), numbers, messageId);
  try {
    for await (const part of parts) {
      if (part.kind === 'text') {
        const delta = place.newIn(part.text);
        if (delta !== '') yield frame('response.output_text.delta', numbers.ofText(), { ...at, delta, logprobs: [] });
      } else {
        place.requireReached();
        for (const [index, [type, data]] of tailOf(part.turn, request, at).entries())
          if (numbers.ofTail(index) > after) yield frame(type, numbers.ofTail(index), data);
      }
    }
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== 'agent_error') throw toldHere(error);
    const turn = await streamed.readEnd();
    if (!turn) throw error;
    yield frame('response.failed', Math.max(after + 1, numbers.ofTail(0)), { response: presentResponse(turn, request) });
  }
}

/** Tells what of a text is new to a client that has a part of it. */
class ReceivedPlace {
  readonly #received: Received;
  readonly #numbers: EventNumbers;
  readonly #messageId: string;

  constructor(received: Received, numbers: EventNumbers, messageId: string) {
    this.#received = received;
    this.#numbers = numbers;
    this.#messageId = messageId;
  }

  /** Counts the next piece of the text. */
  newIn(piece: string): string {
    const known = Math.min(piece.length, Math.max(0, this.#received.length - this.#numbers.length));
    this.#numbers.add(piece.slice(0, known));
    this.#requireSame();
    this.#numbers.add(piece.slice(known));
    return piece.slice(known);
  }

  /** Throws NoReplyError where the client has more than the whole text, and not the events behind it. */
  requireReached(): void {
    const { number } = this.#received;
    if (this.#received.length > this.#numbers.length && number > this.#numbers.ofTail(TAIL_EVENTS - 1)) this.#refuse();
    this.#requireSame();
  }

  #requireSame(): void {
    const { length, number } = this.#received;
    if (length > 0 && length === this.#numbers.length && number !== this.#numbers.ofText()) this.#refuse();
  }

  #refuse(): never {
    throw new NoReplyError('not_continued', this.#messageId);
  }
}

function headOf({ response, messageId }: Streamed, at: object): [type: string, data: object][] {
  const beginning = { ...response, status: 'in_progress', completed_at: null, output: [], usage: null, error: null };
  const item = { id: messageId, type: 'message', status: 'in_progress', role: 'assistant', content: [] };
  return [
    ['response.created', { response: beginning }],
    ['response.in_progress', { response: beginning }],
    ['response.output_item.added', { output_index: 0, item }],
    ['response.content_part.added', { ...at, part: textPart('') }],
  ];
}

const TAIL_EVENTS = 4;

function tailOf(turn: TurnView, request: ResponseRequest, at: object): [type: string, data: object][] {
  const response = presentResponse(turn, request);
  const isCut = response.status === 'incomplete';
  return [
    ['response.output_text.done', { ...at, text: turn.content, logprobs: [] }],
    ['response.content_part.done', { ...at, part: textPart(turn.content) }],
    ['response.output_item.done', { output_index: 0, item: presentOutput(turn, isCut ? 'incomplete' : 'completed') }],
    [isCut ? 'response.incomplete' : 'response.completed', { response }],
  ];
}

function frame(type: string, sequenceNumber: number, data: object): StreamFrame {
  return { event: type, data: JSON.stringify({ type, sequence_number: sequenceNumber, ...data }) };
}
