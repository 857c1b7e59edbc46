import { Agent, request } from 'node:http';
import type { IncomingMessage, OutgoingHttpHeaders, RequestOptions } from 'node:http';
import type { Duplex } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { jsonOrNull } from '../../lib/text/json-or-null.ts';

/** The engine refused a call. */
export class EngineError extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(`The Docker engine refused (${status}): ${message}`);
    this.status = status;
  }
}

/** The engine cannot be asked at all. */
export class EngineAwayError extends Error {}

export interface CallOptions {
  body?: object;
  signal?: AbortSignal;
  /** How long the answer may take. A minute when absent: an engine is slow while it starts or its disk is busy. */
  timeoutMs?: number;
  query?: Record<string, string>;
}

/** The newest API that the driver was written against. An older engine is spoken to in its own. */
const NEWEST_API = 1.47;
const OLDEST_API = 1.41;
const TIMEOUT_MS = 60_000;
const AWAY_POLL_MS = 250;
const refusal = z.object({ message: z.string() });

/** The Docker API over the engine's socket: a dozen calls, so that nothing but Node stands between us and it. */
export class Engine {
  readonly #socketPath: string;
  // A connection that the engine has closed meanwhile would fail the next call; opening one costs nothing.
  readonly #agent = new Agent({ keepAlive: false });
  #version: Promise<string> | null = null;

  constructor(socketPath: string) {
    this.#socketPath = socketPath;
  }

  /** The parsed answer. Throws EngineError and EngineAwayError, and the signal's reason when it is aborted. */
  async call(method: string, path: string, options: CallOptions = {}): Promise<unknown> {
    const response = await this.stream(method, path, options);
    const text = (await this.#whole(response, options)).toString();
    return text === '' ? null : jsonOrNull(text);
  }

  /** Like call, and null when there is no such thing. */
  async find(path: string, options: CallOptions = {}): Promise<unknown> {
    return orElse(404, null, () => this.call('GET', path, options));
  }

  /** The answer as it comes: a log, or the output of a command. */
  async stream(method: string, path: string, options: CallOptions = {}): Promise<IncomingMessage> {
    const { response } = await this.#send(method, await this.#pathOf(path, options.query), options);
    const status = response.statusCode ?? 0;
    if (status < 400) return response;
    const said = refusal.safeParse(jsonOrNull((await this.#whole(response, options)).toString())).data;
    throw new EngineError(status, said?.message ?? 'without a reason');
  }

  /** Both directions of a container's own streams. */
  async attach(path: string, options: CallOptions = {}): Promise<Duplex> {
    const headers = { connection: 'Upgrade', upgrade: 'tcp' };
    const { response, socket } = await this.#send('POST', await this.#pathOf(path, options.query), { ...options, headers });
    if (socket) return socket;
    const said = refusal.safeParse(jsonOrNull((await this.#whole(response, options)).toString())).data;
    throw new EngineError(response.statusCode ?? 0, said?.message ?? 'it does not attach');
  }

  /** Waits until the engine answers: a restart of it takes seconds. Throws EngineAwayError when it has not by then. */
  async awaitAnswer({ signal, timeoutMs }: { signal: AbortSignal; timeoutMs: number }): Promise<void> {
    const giveUp = AbortSignal.timeout(timeoutMs);
    for (;;) {
      try {
        this.#version = null;
        await this.#negotiate();
        return;
      } catch (error) {
        signal.throwIfAborted();
        if (!(error instanceof EngineAwayError) || giveUp.aborted) throw error;
        await sleep(AWAY_POLL_MS, undefined, { signal });
      }
    }
  }

  async #pathOf(path: string, query: Record<string, string> = {}): Promise<string> {
    const search = new URLSearchParams(query).toString();
    return `/v${await this.#negotiate()}${path}${search && `?${search}`}`;
  }

  #negotiate(): Promise<string> {
    this.#version ??= this.#askVersion().catch((error: unknown) => {
      this.#version = null;
      throw error;
    });
    return this.#version;
  }

  async #askVersion(): Promise<string> {
    const { response } = await this.#send('GET', '/_ping', {});
    response.resume();
    const theirs = Number(response.headers['api-version']);
    if (!(theirs >= OLDEST_API))
      throw new EngineError(400, `it speaks API ${theirs}, which is older than ${OLDEST_API}; update it`);
    return String(Math.min(theirs, NEWEST_API));
  }

  #send(
    method: string,
    path: string,
    { body, signal, timeoutMs = TIMEOUT_MS, headers }: CallOptions & { headers?: OutgoingHttpHeaders },
  ): Promise<{ response: IncomingMessage; socket: Duplex | null }> {
    const payload = body === undefined ? null : Buffer.from(JSON.stringify(body));
    const options: RequestOptions = {
      method,
      path,
      socketPath: this.#socketPath,
      agent: this.#agent,
      timeout: timeoutMs,
      headers: {
        host: 'docker',
        ...(payload && { 'content-type': 'application/json', 'content-length': payload.length }),
        ...headers,
      },
      ...(signal && { signal }),
    };
    return new Promise((resolve, reject) => {
      const call = request(options);
      call.once('response', (response) => resolve({ response, socket: null }));
      call.once('upgrade', (response, socket, head) => {
        socket.unshift(head);
        socket.setTimeout(0);
        resolve({ response, socket });
      });
      call.once('timeout', () => call.destroy(new Error(`no answer within ${timeoutMs} ms`)));
      call.once('error', (error) => reject(signal?.aborted ? signal.reason : this.#away(error)));
      call.end(payload);
    });
  }

  async #whole(response: IncomingMessage, { signal }: CallOptions): Promise<Buffer> {
    try {
      return await buffer(response);
    } catch (error) {
      signal?.throwIfAborted();
      throw this.#away(error);
    }
  }

  #away(error: unknown): EngineAwayError {
    const reason = Error.isError(error) ? error.message : String(error);
    return new EngineAwayError(
      `The Docker engine at ${this.#socketPath} does not answer (${reason}). Start it, or name its socket in DOCKER_SOCKET.`,
    );
  }
}

/** The value instead of a refusal with this status. */
export async function orElse<T, E>(status: number | readonly number[], value: E, work: () => Promise<T>): Promise<T | E> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof EngineError && [status].flat().includes(error.status)) return value;
    throw error;
  }
}
