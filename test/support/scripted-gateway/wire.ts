import type { WebSocket } from 'ws';
import { z } from 'zod';

export const request = z.looseObject({
  type: z.literal('req'),
  id: z.string(),
  method: z.string(),
  params: z.record(z.string(), z.unknown()).default({}),
});

export interface WireError {
  code: string;
  message: string;
  details?: Record<string, unknown> | undefined;
  retryable?: boolean | undefined;
  retryAfterMs?: number | undefined;
}

/** A call is refused with this. */
export class Refusal extends Error {
  readonly shape: WireError;

  constructor(shape: WireError) {
    super(shape.message);
    this.shape = shape;
  }
}

export function invalid(message: string): Refusal {
  return new Refusal({ code: 'INVALID_REQUEST', message });
}

export function unavailable(message: string): Refusal {
  return new Refusal({ code: 'UNAVAILABLE', message });
}

/** One answer: to a call, or the second one to a turn. */
export type Answer = { ok: true; payload: unknown } | { ok: false; payload?: unknown; error: WireError };

export function refused(error: unknown): Answer {
  if (error instanceof Refusal) return { ok: false, error: error.shape };
  throw error;
}

/** The connections of one gateway process that were let in. */
export class Peers {
  readonly #sockets = new Set<WebSocket>();
  #seq = 0;

  add(socket: WebSocket): void {
    this.#sockets.add(socket);
    socket.once('close', () => this.#sockets.delete(socket));
  }

  /** To all of them. */
  emit(event: string, payload: object): void {
    this.#seq += 1;
    const text = JSON.stringify({ type: 'event', event, payload, seq: this.#seq });
    for (const socket of this.#sockets) socket.send(text);
  }

  /** The same text to all of them. */
  emitText(text: string | Buffer): void {
    for (const socket of this.#sockets) socket.send(text, { binary: false });
  }

  close(code: number, reason: string): void {
    for (const socket of this.#sockets) socket.close(code, reason);
  }
}
