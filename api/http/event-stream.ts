/**
 * An answer that is sent as server-sent events instead of one JSON document. `after` returns it.
 *
 * Each string is the data of one event. The headers leave with the first one (or with the first ping, 15 s on), so an
 * error thrown before it is answered as plain JSON with its status; a later one becomes one error event, then the end.
 * When the client goes away the iterator's `return` is called and nothing else happens.
 */
export class EventStream {
  readonly events: AsyncIterable<string>;

  constructor(events: AsyncIterable<string>) {
    this.events = events;
  }
}
