import type { WebSocket } from 'ws';
import { CONNECTION_LOST, GatewayFloodError, GatewayRequestError, NO_ANSWER } from '../../gateway/gateway-errors.ts';
import { parseEvent } from './gateway-events.ts';
import type { GatewayEvent } from './gateway-events.ts';
import { isAffordable, parseFrame } from './gateway-frames.ts';
import type { ErrorShape, EventFrame, ResponseFrame } from './gateway-frames.ts';
import { InflowBudget } from './inflow-budget.ts';
import type { InflowLimits } from './inflow-budget.ts';
import { MediaLines } from '../conversation/media-lines.ts';

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
/** How `ws` names a message that is larger than it may be, or is sent in too many pieces. */
const TOO_LARGE = ['WS_ERR_UNSUPPORTED_MESSAGE_LENGTH', 'WS_ERR_TOO_MANY_BUFFERED_PARTS'];

/**
 * Frames over one socket: matches answers to requests, hands out events, and closes the socket when the peer is dead.
 * All that a gateway sends comes in here, within a budget: the socket is paused when too much comes, and closed when
 * that goes on, or when one frame is more than a gateway has reason to send.
 */
export class GatewayConnection {
  readonly closed: Promise<void>;
  readonly #socket: WebSocket;
  readonly #waiting = new Map<string, Waiting>();
  readonly #secondWaiting = new Map<string, SecondResponse>();
  readonly #listeners = new Set<(event: GatewayEvent) => void>();
  readonly #frameListeners = new Set<(frame: EventFrame) => void>();
  readonly #mediaLines = new MediaLines();
  readonly #budget: InflowBudget;
  #lastId = 0;
  #heard = false;
  #pause: NodeJS.Timeout | undefined;
  #flood: GatewayFloodError | null = null;

  constructor(socket: WebSocket, inflow: InflowLimits) {
    this.#socket = socket;
    this.#budget = new InflowBudget(inflow);
    this.closed = new Promise((resolve) => {
      socket.once('close', () => {
        clearTimeout(this.#pause);
        this.#failAll();
        resolve();
      });
    });
    // A 'close' follows every error.
    socket.on('error', (error) => {
      if ('code' in error && TOO_LARGE.some((code) => code === error.code)) this.endForFlood('a message that is too large');
    });
    for (const beat of ['ping', 'pong'] as const) socket.on(beat, (data) => void this.#take(data.length));
    socket.on('message', (data, isBinary) => {
      this.#heard = true;
      // Messages come as one Buffer with the default binaryType.
      if (!Buffer.isBuffer(data) || !this.#take(data.length) || isBinary) return;
      if (isAffordable(data)) this.#onFrame(data.toString());
      else this.endForFlood('a message of too many parts');
    });
  }

  /** What the gateway sent too much of, once the connection was closed for that; null otherwise. */
  get flood(): GatewayFloodError | null {
    return this.#flood;
  }

  /** Closes the connection because the gateway sends more than it has reason to: this. */
  endForFlood(what: string): GatewayFloodError {
    this.#flood ??= new GatewayFloodError(`The gateway sent more than it may: ${what}`);
    this.close();
    return this.#flood;
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

  /** False when that was the last of a flood. */
  #take(bytes: number): boolean {
    if (this.#flood) return false;
    const { pauseMs, isFlood } = this.#budget.take(bytes, performance.now());
    if (isFlood) this.endForFlood('messages without a pause');
    else if (pauseMs > 0) this.#pauseFor(pauseMs);
    return !isFlood;
  }

  /** What was read from the socket before goes on to come: each of it makes the pause longer. */
  #pauseFor(ms: number): void {
    clearTimeout(this.#pause);
    this.#socket.pause();
    this.#pause = setTimeout(() => this.#socket.resume(), ms);
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
