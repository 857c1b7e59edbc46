import type { TurnView } from '../database/messages/find-turn.ts';
import { MAX_CONTENT_BYTES } from '../domain/turn.ts';
import { cutText } from '../lib/text/cut-text.ts';
import { NoReplyError } from './conversation/no-reply.ts';

/** The text of one turn as this process hears it, for those who wait for it. */
export class TurnFeed {
  readonly #messageId: string;
  readonly #end = Promise.withResolvers<TurnView | null>();
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

  /** All of the answer so far. No more than is kept of it is shown. */
  update(text: string): void {
    this.#text = cutText(text, MAX_CONTENT_BYTES).text;
    this.#tell();
  }

  end(turn: TurnView | null): void {
    this.#hasEnded = true;
    this.#end.resolve(turn);
    this.#tell();
  }

  /**
   * The answer in pieces, as they come; together they are the reply, when the turn completes. Another try of the turn
   * goes on where it extends what was sent before; throws NoReplyError `not_continued` when the reply does not.
   */
  async *deltas(): AsyncGenerator<string, void, undefined> {
    let sent = '';
    while (!this.#hasEnded) {
      const changed = this.#changed.promise;
      const text = this.#text;
      if (text.length > sent.length && text.startsWith(sent)) {
        const rest = text.slice(sent.length);
        sent = text;
        yield rest;
      } else await changed;
    }
    const turn = await this.ended;
    if (turn?.status !== 'completed') return;
    const rest = restOf(turn.content, sent);
    if (rest === null) throw new NoReplyError('not_continued', this.#messageId);
    if (rest !== '') yield rest;
  }

  #tell(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }
}

/** What is still to be sent of a reply; null when it does not begin with what was sent. Blanks at its end do not count. */
function restOf(content: string, sent: string): string | null {
  if (content.startsWith(sent)) return content.slice(sent.length);
  return sent.trimEnd() === content.trimEnd() ? '' : null;
}
