import type { WebSocket } from 'ws';
import { CONNECTION_LOST, GatewayRequestError, NO_ANSWER } from './gateway-errors.ts';
import { parseEvent } from './gateway-events.ts';
import type { GatewayEvent } from './gateway-events.ts';
import { parseFrame } from './gateway-frames.ts';
import type { ErrorShape, EventFrame, ResponseFrame } from './gateway-frames.ts';
import { MediaLines } from './media-lines.ts';

export interface RequestOptions {
  /** Ends the wait, not what the request does. */
  signal?: AbortSignal;
  /** How long to wait for the first answer. 30 seconds when absent. */
  timeoutMs?: number;
  /** Reaches every model call that the request causes. */
  traceparent?: string;
  second?: SecondResponse;
}

/** For the one method that answers twice. */
export interface SecondResponse {
  /** Whether another answer follows a first one with this payload. */
  follows(firstPayload: unknown): boolean;
  /** Gets it, once; never when the connection goes away before. Must not throw. */
  onResponse(response: SecondAnswer): void;
}

export type SecondAnswer = { payload: unknown; error: GatewayRequestError | null };

interface Waiting {
  resolve(payload: unknown): void;
  reject(error: unknown): void;
  second: SecondResponse | undefined;
}

const REQUEST_MS = 30_000;
/** Of half a minute each: a gateway on a busy machine may be silent for as long as its watch waits for it. */
const MISSED_TICKS = 6;

/** Frames over one socket: matches answers to requests, hands out events, and closes the socket when the peer is dead. */
export class GatewayConnection {
  readonly closed: Promise<void>;
  readonly #socket: WebSocket;
  readonly #waiting = new Map<string, Waiting>();
  readonly #secondWaiting = new Map<string, SecondResponse>();
  readonly #listeners = new Set<(event: GatewayEvent) => void>();
  readonly #frameListeners = new Set<(frame: EventFrame) => void>();
  readonly #mediaLines = new MediaLines();
  #lastId = 0;
  #heard = false;

  constructor(socket: WebSocket) {
    this.#socket = socket;
    this.closed = new Promise((resolve) => {
      socket.once('close', () => {
        this.#failAll();
        resolve();
      });
    });
    // A 'close' follows every error.
    socket.on('error', () => {});
    socket.on('message', (data, isBinary) => {
      this.#heard = true;
      // Text messages come as one Buffer with the default binaryType.
      if (!isBinary && Buffer.isBuffer(data)) this.#onFrame(data.toString());
    });
  }

  isOpen(): boolean {
    return this.#socket.readyState === this.#socket.OPEN;
  }

  close(): void {
    this.#socket.terminate();
  }

  onEvent(listener: (event: GatewayEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Every event as it came, for the handshake. */
  onEventFrame(listener: (frame: EventFrame) => void): () => void {
    this.#frameListeners.add(listener);
    return () => void this.#frameListeners.delete(listener);
  }

  /**
   * The gateway sends something at least once per tick. Misses are counted by our own timer, which a paused process
   * fires once however long the pause was, so that the frames that wait in the socket are read before it fires again.
   */
  expectTicks(intervalMs: number): void {
    let missed = 0;
    const timer = setInterval(() => {
      missed = this.#heard ? 0 : missed + 1;
      this.#heard = false;
      if (missed >= MISSED_TICKS) this.close();
    }, intervalMs);
    timer.unref();
    void this.closed.then(() => clearInterval(timer));
  }

  request(method: string, params: object, options: RequestOptions = {}): Promise<unknown> {
    const { signal, timeoutMs = REQUEST_MS, traceparent, second } = options;
    if (signal?.aborted) return Promise.reject(signal.reason);
    if (!this.isOpen()) return Promise.reject(connectionLost(method));
    const id = String((this.#lastId += 1));
    const answer = new Promise<unknown>((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject, second });
    });
    const give = (error: unknown): void => {
      this.#waiting.get(id)?.reject(error);
      this.#waiting.delete(id);
    };
    const onAbort = (): void => give(signal?.reason);
    const timer = setTimeout(() => give(noAnswer(method, timeoutMs)), timeoutMs);
    signal?.addEventListener('abort', onAbort, { once: true });
    this.#socket.send(JSON.stringify({ type: 'req', id, method, params, ...(traceparent && { traceparent }) }));
    return answer.finally(() => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
    });
  }

  #onFrame(text: string): void {
    const frame = parseFrame(text);
    if (!frame) return;
    if (frame.type === 'res') return this.#onResponse(frame);
    for (const listener of [...this.#frameListeners]) listener(frame);
    if (this.#listeners.size === 0) return;
    const event = parseEvent(frame);
    if (!event) return;
    const whole = this.#mediaLines.restore(event);
    for (const listener of [...this.#listeners]) listener(whole);
  }

  #onResponse({ id, ok, payload, error }: ResponseFrame): void {
    const waiting = this.#waiting.get(id);
    if (waiting) {
      this.#waiting.delete(id);
      if (ok && waiting.second?.follows(payload)) this.#secondWaiting.set(id, waiting.second);
      if (ok) waiting.resolve(payload);
      else waiting.reject(refusal(error, payload));
      return;
    }
    const second = this.#secondWaiting.get(id);
    if (!second) return;
    this.#secondWaiting.delete(id);
    second.onResponse({ payload, error: ok ? null : refusal(error, payload) });
  }

  #failAll(): void {
    for (const { reject } of this.#waiting.values()) reject(connectionLost('the request'));
    this.#waiting.clear();
    this.#secondWaiting.clear();
    this.#listeners.clear();
    this.#frameListeners.clear();
  }
}

function refusal(error: ErrorShape | undefined, payload: unknown): GatewayRequestError {
  return new GatewayRequestError({
    code: error?.code ?? 'UNKNOWN',
    message: error?.message ?? 'The gateway refused without saying why',
    reason: error?.details?.reason ?? error?.details?.code,
    retryable: error?.retryable ?? false,
    retryAfterMs: error?.retryAfterMs,
    limit: error?.details?.limit,
    pairingRequest: error?.details?.requestId,
    payload,
  });
}

function connectionLost(what: string): GatewayRequestError {
  const message = `The connection to the gateway was lost before it answered ${what}`;
  return new GatewayRequestError({ code: CONNECTION_LOST, message, retryable: true });
}

function noAnswer(method: string, timeoutMs: number): GatewayRequestError {
  const message = `The gateway did not answer ${method} within ${timeoutMs} ms`;
  return new GatewayRequestError({ code: NO_ANSWER, message, retryable: true });
}
