import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import type { EventStream, StreamFrame } from './event-stream.ts';

const PING_MS = 15_000;

const HEADERS = {
  'Content-Type': 'text/event-stream; charset=utf-8',
  'Cache-Control': 'no-cache, no-transform',
  'X-Accel-Buffering': 'no',
};

interface SendOptions {
  /** The data of the last event when the stream fails half way. */
  errorEvent: (error: unknown) => string;
  /** The name of that event, where it has one. */
  errorEventName?: string | undefined;
  /** Asked with each ping: ends the stream with this error when it throws. */
  requireAllowed: () => Promise<void>;
}

function textOf(frame: StreamFrame): string {
  if (typeof frame === 'string') return `data: ${frame.replaceAll('\n', '\ndata: ')}\n\n`;
  if ('comment' in frame) return `: ${frame.comment}\n\n`;
  const { id, event, data } = frame;
  return [id === undefined ? '' : `id: ${id}\n`, event === undefined ? '' : `event: ${event}\n`, textOf(data)].join('');
}

/**
 * Writes each event as soon as it is there, at the pace of the client, with a comment every 15 s. Resolves when the
 * stream has ended or the client has gone. Throws the stream's error only while nothing has been written.
 */
export async function sendEvents(response: ServerResponse, stream: EventStream, options: SendOptions): Promise<void> {
  const iterator = stream.frames[Symbol.asyncIterator]();
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  const left = new Promise<'left'>((resolve) => gone.signal.addEventListener('abort', () => resolve('left')));
  const write = (text: string): boolean => {
    if (!response.headersSent) response.writeHead(200, HEADERS);
    return response.write(text);
  };
  const refused = Promise.withResolvers<never>();
  const over = Promise.race([left, refused.promise]);
  over.catch(() => undefined);
  const ping = setInterval(() => {
    write(': ping\n\n');
    options.requireAllowed().catch(refused.reject);
  }, PING_MS);
  let lastId: string | null = null;
  try {
    for (;;) {
      const next = await Promise.race([iterator.next(), over]);
      if (next === 'left' || next.done) break;
      if (typeof next.value === 'object' && 'data' in next.value) lastId = next.value.id ?? lastId;
      if (!write(textOf(next.value))) await Promise.race([once(response, 'drain', { signal: gone.signal }), over]);
    }
  } catch (error) {
    if (!response.headersSent) throw error;
    const data = options.errorEvent(error);
    // The error has the id of the last event, so that a client that connects again goes on from there.
    const event = options.errorEventName;
    if (!gone.signal.aborted)
      write(textOf({ ...(lastId !== null && { id: lastId }), ...(event !== undefined && { event }), data }));
  } finally {
    clearInterval(ping);
    // Not awaited: a source that still waits for its next event ends when it gets there.
    void Promise.resolve(iterator.return?.()).catch(() => undefined);
  }
  if (gone.signal.aborted) return;
  if (!response.headersSent) response.writeHead(200, HEADERS);
  response.end();
}
