import { RecentTexts } from '../../../lib/text/recent-texts.ts';
import type { GatewayEvent } from '../wire/gateway-events.ts';

/** Runs that say something at the same time over one connection, and never end. */
const REMEMBERED = { texts: 1_000, characters: 1024 ** 2 };
const MAX_LINES = 100;
/** A longer one is none that could be opened. */
const MAX_URL = 4_096;

/**
 * An agent attaches a picture to what it says by a line `MEDIA:<path or URL>`. A gateway takes these lines out of the
 * text of its events, for channels that have a place for pictures, and keeps them in its history. Here they come back at
 * the end of the text of the `final` event.
 */
export class MediaLines {
  readonly #lines = new RecentTexts(REMEMBERED);

  /** The event as its listeners get it. */
  restore(event: GatewayEvent): GatewayEvent {
    if (event.kind === 'media') this.#note(event);
    if (event.kind !== 'final') return event;
    const lines = this.#lines.take(event.runId);
    return lines === null ? event : { ...event, text: event.text === '' ? lines : `${event.text}\n${lines}` };
  }

  #note({ runId, urls }: Extract<GatewayEvent, { kind: 'media' }>): void {
    const known = this.#lines.take(runId)?.split('\n') ?? [];
    const said = urls.slice(0, MAX_LINES).filter((url) => url.length <= MAX_URL);
    const lines = new Set([...known, ...said.map((url) => `MEDIA:${url}`)]);
    this.#lines.set(runId, [...lines].slice(0, MAX_LINES).join('\n'));
  }
}
