import { setTimeout as sleep } from 'node:timers/promises';
import type { GatewayClient } from './gateway-client.ts';
import { writeLimitWaitMs } from '../../gateway/gateway-errors.ts';

/** Connections beside the first one: with them 120 writes of a kind go at once, more than the secrets of an instance. */
export const MAX_FURTHER_CONNECTIONS = 3;
/** How often one write waits for the next minute. */
export const MAX_WAITS = 2;

/**
 * Sends a write, and sends it again after each wait that the gateway asks for: for two minutes at most, or until the
 * signal is aborted, whose reason it throws. Throws GatewayRequestError.
 */
export async function withinWriteLimit<T>(write: () => Promise<T>, signal: AbortSignal): Promise<T> {
  for (let waits = 0; ; waits += 1) {
    try {
      return await write();
    } catch (error) {
      const waitMs = writeLimitWaitMs(error);
      if (waitMs === null || waits === MAX_WAITS) throw error;
      await sleep(waitMs, undefined, { signal }).catch(() => signal.throwIfAborted());
    }
  }
}

/** Opens a further connection, which has its own limit: the first of them, the second, the third. */
export type ConnectFurther = (number: number) => Promise<GatewayClient>;

/**
 * Sends many writes to one gateway, one after the other: what goes beyond the limit of one connection goes over another,
 * and waits only when all of them have reached theirs.
 */
export class BulkWriter implements Pick<GatewayClient, 'request'> {
  readonly #clients: GatewayClient[];
  /** How many connections have reached their limit, by method. */
  readonly #used = new Map<string, number>();
  readonly #connectFurther: ConnectFurther;
  readonly #signal: AbortSignal;

  constructor(client: GatewayClient, { connectFurther, signal }: { connectFurther: ConnectFurther; signal: AbortSignal }) {
    this.#clients = [client];
    this.#connectFurther = connectFurther;
    this.#signal = signal;
  }

  /** Throws GatewayRequestError, GatewayConnectError, and the signal's reason when it is aborted. */
  request(method: string, params: object): Promise<unknown> {
    return withinWriteLimit(() => this.#requestOverAny(method, params), this.#signal);
  }

  /** Closes the connections that it opened. */
  close(): void {
    for (const client of this.#clients.splice(1)) client.close();
  }

  async #requestOverAny(method: string, params: object): Promise<unknown> {
    for (;;) {
      const used = this.#used.get(method) ?? 0;
      const client = (this.#clients[used] ??= await this.#connectFurther(used));
      try {
        return await client.request(method, params, { signal: this.#signal });
      } catch (error) {
        if (writeLimitWaitMs(error) === null) throw error;
        this.#used.set(method, used === MAX_FURTHER_CONNECTIONS ? 0 : used + 1);
        if (used === MAX_FURTHER_CONNECTIONS) throw error;
      }
    }
  }
}
