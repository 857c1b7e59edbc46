import type { TurnView } from '../database/messages/find-turn.ts';
import { MAX_STEPS } from '../domain/steps.ts';
import type { Step } from '../domain/steps.ts';
import { MAX_CONTENT_BYTES } from '../domain/turn.ts';
import { cutText } from '../lib/text/cut-text.ts';
import { NoReplyError } from './conversation/no-reply.ts';
import { continuesAt, REPLY_BEGIN, ReplyPlaces } from './conversation/reply-place.ts';
import type { ReplyPlace } from './conversation/reply-place.ts';

/** A piece of a reply, and the place behind it. */
export interface ReplyPiece {
  text: string;
  place: ReplyPlace;
}

/** A step of the agent that has begun or ended. */
export interface StepPiece {
  step: Step;
}

/** Each step has a beginning and an end, which two tries of a turn may tell. */
const MAX_TOLD_STEPS = 4 * MAX_STEPS;

/** The text and the steps of one turn as this process hears them, for those who wait for them. */
export class TurnFeed {
  readonly #messageId: string;
  readonly #end = Promise.withResolvers<TurnView | null>();
  readonly #steps: Step[] = [];
  #text = '';
  #hasEnded = false;
  #changed = Promise.withResolvers<void>();

  constructor(messageId: string) {
    this.#messageId = messageId;
  }

  /** Resolves with the turn as it ended, or with null when it is gone. */
  get ended(): Promise<TurnView | null> {
    return this.#end.promise;
  }

  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /**
   * All of the answer so far. No more than is kept of it is shown, and no blanks at its end: the gateway may take those
   * away when the answer is complete.
   */
  update(text: string): void {
    this.#text = cutText(text, MAX_CONTENT_BYTES).text.trimEnd();
    this.#tell();
  }

  /** A step, masked and cut, as it is now. */
  tellStep(step: Step): void {
    if (this.#steps.push(step) > MAX_TOLD_STEPS) this.#steps.pop();
    this.#tell();
  }

  end(turn: TurnView | null): void {
    this.#hasEnded = true;
    this.#end.resolve(turn);
    this.#tell();
  }

  /**
   * The answer behind this place in pieces, as they come; together they are the rest of the reply, when the turn completes.
   * Another try of the turn goes on where it extends what was sent before; throws NoReplyError `not_continued` when the
   * reply does not.
   */
  async *deltas(after = REPLY_BEGIN): AsyncGenerator<ReplyPiece, void, undefined> {
    for await (const piece of this.#pieces(after, false)) if ('text' in piece) yield piece;
  }

  /** The same with the steps that this process hears, among the text where they happened. */
  activity(after = REPLY_BEGIN): AsyncGenerator<ReplyPiece | StepPiece, void, undefined> {
    return this.#pieces(after, true);
  }

  async *#pieces(after: ReplyPlace, withSteps: boolean): AsyncGenerator<ReplyPiece | StepPiece, void, undefined> {
    const reader = new ReplyReader(after);
    let told = 0;
    while (!this.#hasEnded) {
      const changed = this.#changed.promise;
      const piece = reader.next(this.#text);
      const step = withSteps && !piece ? this.#steps[told] : undefined;
      if (step) told += 1;
      if (piece) yield piece;
      else if (step) yield { step };
      else await changed;
    }
    const turn = await this.ended;
    if (turn?.status !== 'completed') return;
    yield* restOfReply(turn, reader, this.#messageId);
  }

  #tell(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }
}

/** The reply of a completed turn behind this place, if there is more. Throws NoReplyError `not_continued`. */
export function* replyAfter(turn: TurnView, after = REPLY_BEGIN): Generator<ReplyPiece, void, undefined> {
  yield* restOfReply(turn, new ReplyReader(after), turn.messageId);
}

function* restOfReply({ content }: TurnView, reader: ReplyReader, messageId: string): Generator<ReplyPiece, void, undefined> {
  const rest = reader.next(content);
  if (rest) yield rest;
  else if (!reader.hasAll(content)) throw new NoReplyError('not_continued', messageId);
}

/** What one follower has of a reply. */
class ReplyReader {
  readonly #after: ReplyPlace;
  readonly #places = new ReplyPlaces();
  /** Null until a text was seen that goes on after the place where the follower begins. */
  #sent: string | null = null;
  /** The beginning of the last text that does not. */
  #other: string | null = null;

  constructor(after: ReplyPlace) {
    this.#after = after;
  }

  /** What this text has behind all that was sent; null when that is nothing, or when the text is another one. */
  next(text: string): ReplyPiece | null {
    if (this.#sent === null) this.#begin(text);
    const sent = this.#sent;
    if (sent === null || text.length <= sent.length || !text.startsWith(sent)) return null;
    this.#sent = text;
    const rest = text.slice(sent.length);
    return { text: rest, place: this.#places.add(rest) };
  }

  /** Whether this text and what was sent are the same. */
  hasAll(text: string): boolean {
    return this.#sent === text;
  }

  #begin(text: string): void {
    const { length } = this.#after;
    if (text.length < length || (this.#other !== null && text.startsWith(this.#other))) return;
    const begin = text.slice(0, length);
    if (continuesAt(text, this.#after)) {
      this.#sent = begin;
      this.#places.add(begin);
    } else this.#other = begin;
  }
}
