import { createParser } from 'eventsource-parser';
import type { EventSourceMessage } from 'eventsource-parser';
import { errorOfBody, isObject, ThermidoraError } from './errors.ts';
import { isStillRunning, isWorthRepeating, pause, pauseMs } from './retries.ts';
import { connectionLost, FailedAttempt, lostConnection } from './transport.ts';
import type { Call, Transport } from './transport.ts';

/** The API sends a comment every 15 seconds: after three of them the connection is lost. */
const SILENCE_MS = 50_000;
const LARGEST_EVENT = 16 * 1024 * 1024;

/** The events of one connection. Throws FailedAttempt when it is lost or silent. */
async function* readEvents(response: Response, signal: AbortSignal | undefined): AsyncGenerator<EventSourceMessage> {
  const reader = response.body?.getReader();
  if (!reader) return;
  const found: EventSourceMessage[] = [];
  const parser = createParser({ onEvent: (event) => found.push(event), maxBufferSize: LARGEST_EVENT });
  const decoder = new TextDecoder();
  try {
    for (;;) {
      const { done, value } = await readInTime(reader, signal);
      if (done) return;
      parser.feed(decoder.decode(value, { stream: true }));
      yield* found.splice(0);
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}

async function readInTime(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  signal: AbortSignal | undefined,
): ReturnType<ReadableStreamDefaultReader<Uint8Array>['read']> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const silence = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('the connection was silent')), SILENCE_MS);
  });
  try {
    return await Promise.race([reader.read(), silence]);
  } catch (error) {
    throw connectionLost(error, signal);
  } finally {
    clearTimeout(timer);
  }
}

/** What is asked for next: at the beginning, and after each lost connection. */
export interface Connection {
  method: string;
  path: string;
  call: Call;
}

/**
 * The data of server-sent events over as many connections as it takes. `connect` says what to ask for now, and `waitMs` for how
 * long a refusal may be repeated that says that the answer is not there yet. Ends when the consumer leaves or the signal
 * aborts; throws the ApiError or ApiConnectionError of the last attempt when none of the retries brought an event.
 */
export async function* followEvents(http: Transport, connect: () => Connection, waitMs = 0): AsyncGenerator<EventSourceMessage> {
  let retries = 0;
  let waitUntil = 0;
  for (;;) {
    const { method, path, call } = connect();
    const { signal } = call.options;
    let failure: FailedAttempt;
    try {
      for await (const event of readEvents(await http.open(method, path, call, signal), signal)) {
        throwRefusal(event.data);
        [retries, waitUntil] = [0, 0];
        yield event;
      }
      failure = lostConnection(new Error('the stream ended early'));
    } catch (error) {
      if (!(error instanceof FailedAttempt)) throw error;
      failure = error;
    }
    if (isStillRunning(failure.failure) && waitMs > 0) {
      waitUntil ||= Date.now() + waitMs;
      if (Date.now() > waitUntil) throw failure.failure.error;
    } else if (retries >= http.retriesOf(call.options) || !isWorthRepeating(failure.failure)) throw failure.failure.error;
    else retries += 1;
    await pause(pauseMs(retries, failure.failure), signal);
  }
}

/** A stream that fails ends with the error of the API as its last event. */
function throwRefusal(data: string): void {
  const value = parseEvent(data);
  // An event of an account may have an `error`, too, but not one with a request id.
  const error = isObject(value) && !('seq' in value) ? errorOfBody(value) : null;
  if (error) throw new FailedAttempt({ error, retryAfterMs: null, isFromApi: true });
}

/** The JSON of an event; null where it is none. Throws ThermidoraError for broken JSON. */
export function parseEvent(data: string): unknown {
  if (data === '[DONE]') return null;
  try {
    return JSON.parse(data) as unknown;
  } catch (error) {
    throw new ThermidoraError('The API sent an event that is not JSON.', { cause: error });
  }
}
