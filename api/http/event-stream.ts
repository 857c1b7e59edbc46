/** One event: its data, or also an id from which a client goes on after a lost connection, or the name of its kind. */
export type StreamFrame = string | { id?: string; event?: string; data: string } | { comment: string };

/**
 * An answer that is sent as server-sent events instead of one JSON document. `after` returns it.
 *
 * The headers leave with the first frame (or with the first ping, 15 s on), so an error thrown before it is answered as plain
 * JSON with its status; a later one becomes one error event, then the end. When the client goes away the iterator's `return` is
 * called and nothing else happens.
 */
export class EventStream {
  readonly frames: AsyncIterable<StreamFrame>;

  constructor(frames: AsyncIterable<StreamFrame>) {
    this.frames = frames;
  }
}
