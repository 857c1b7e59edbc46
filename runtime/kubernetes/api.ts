import { Agent as HttpAgent, request as httpRequest } from 'node:http';
import type { IncomingMessage, RequestOptions } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';
import { WebSocket } from 'ws';
import { z } from 'zod';
import { jsonOrNull } from '../../lib/text/json-or-null.ts';
import type { Access } from './access.ts';

/** The API server refused a call. */
export class ApiError extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(`The Kubernetes API server refused (${status}): ${message}`);
    this.status = status;
  }
}

/** The API server cannot be asked at all. */
export class ApiAwayError extends Error {}

export interface CallOptions {
  body?: object;
  /** Of the body; JSON when absent. */
  type?: 'application/json' | 'application/merge-patch+json' | 'application/apply-patch+yaml';
  query?: Record<string, string>;
  signal?: AbortSignal;
  /** Of the answer's kind: without the content of objects, for example. */
  accept?: string;
  /** How long the answer may take. */
  timeoutMs?: number;
}

/** Lists without their contents: names, labels and annotations alone. */
export const METADATA_ONLY = 'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1';
const TIMEOUT_MS = 30_000;
/** A page of a list, the largest answer, is far below it. */
const MAX_ANSWER_BYTES = 64 * 1024 ** 2;
const SOCKETS = 64;
const BUSY_TRIES = 5;
const LONGEST_PAUSE_S = 5;
const refusal = z.looseObject({ message: z.string() });

/** The calls of the Kubernetes API that the driver makes: a dozen, so that nothing but Node stands between us and it. */
export class KubernetesApi {
  readonly #access: () => Promise<Access>;
  readonly #secure = new HttpsAgent({ keepAlive: true, maxSockets: SOCKETS });
  readonly #plain = new HttpAgent({ keepAlive: true, maxSockets: SOCKETS });

  constructor(access: () => Promise<Access>) {
    this.#access = access;
  }

  /** The parsed answer. Throws ApiError and ApiAwayError, and the signal's reason when it is aborted. */
  async call(method: string, path: string, options: CallOptions = {}): Promise<unknown> {
    const response = await this.stream(method, path, options);
    return jsonOrNull((await this.#whole(response, options.signal)).toString());
  }

  /** Like call, and null when there is no such object. */
  find(path: string, options: CallOptions = {}): Promise<unknown> {
    return orElse(404, null, () => this.call('GET', path, options));
  }

  /** The answer as it comes: a log, or a watch. */
  async stream(method: string, path: string, options: CallOptions = {}): Promise<IncomingMessage> {
    for (let attempt = 1; ; attempt += 1) {
      const response = await this.#send(method, path, options);
      const status = response.statusCode ?? 0;
      if (status < 400) return response;
      const body = (await this.#whole(response, options.signal)).toString();
      // Too many calls: none of this one was done.
      if (status !== 429 || attempt === BUSY_TRIES)
        throw new ApiError(status, refusal.safeParse(jsonOrNull(body)).data?.message ?? body.slice(0, 200));
      const seconds = Math.min(Number(response.headers['retry-after'] ?? 1) || 1, LONGEST_PAUSE_S);
      await sleep(seconds * 1_000, undefined, options.signal && { signal: options.signal });
    }
  }

  /** A connection in both directions, by the protocol in which the API server carries the streams of a program. */
  async connect(path: string, query: URLSearchParams, protocol: string, signal: AbortSignal): Promise<WebSocket> {
    const { url, token, ca, cert, key } = await this.#access();
    const socket = new WebSocket(`${url.replace(/^http/, 'ws')}${path}?${query.toString()}`, protocol, {
      headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
      ...(ca !== undefined && { ca }),
      ...(cert !== undefined && { cert }),
      ...(key !== undefined && { key }),
      handshakeTimeout: TIMEOUT_MS,
      perMessageDeflate: false,
    });
    return new Promise((resolve, reject) => {
      const leave = () => socket.terminate();
      signal.addEventListener('abort', leave, { once: true });
      socket.once('close', () => signal.removeEventListener('abort', leave));
      socket.once('open', () => resolve(socket));
      socket.once('unexpected-response', (_request, response) => {
        void this.#whole(response, signal).then((body) => {
          reject(
            new ApiError(
              response.statusCode ?? 0,
              refusal.safeParse(jsonOrNull(body.toString())).data?.message ?? 'it does not connect',
            ),
          );
          socket.terminate();
        }, reject);
      });
      socket.on('error', (error) => reject(signal.aborted ? signal.reason : this.#away(url, error)));
    });
  }

  async #send(method: string, path: string, options: CallOptions): Promise<IncomingMessage> {
    const access = await this.#access();
    try {
      return await this.#sendOnce(method, path, options, access);
    } catch (error) {
      options.signal?.throwIfAborted();
      if (!(error instanceof ClosedBeforeError)) throw this.#away(access.url, error);
    }
    // The server had closed an idle connection; a new one is not idle.
    try {
      return await this.#sendOnce(method, path, options, access, false);
    } catch (error) {
      options.signal?.throwIfAborted();
      throw this.#away(access.url, error);
    }
  }

  #sendOnce(method: string, path: string, options: CallOptions, access: Access, mayReuse = true): Promise<IncomingMessage> {
    const { body, type = 'application/json', query, signal, timeoutMs = TIMEOUT_MS, accept = 'application/json' } = options;
    const { url, token, ca, cert, key } = access;
    const payload = body === undefined ? null : Buffer.from(JSON.stringify(body));
    const search = query ? `?${new URLSearchParams(query).toString()}` : '';
    const isSecure = url.startsWith('https:');
    const pooled = isSecure ? this.#secure : this.#plain;
    const settings: RequestOptions = {
      method,
      agent: mayReuse ? pooled : false,
      timeout: timeoutMs,
      headers: {
        accept,
        ...(token !== undefined && { authorization: `Bearer ${token}` }),
        ...(payload && { 'content-type': type, 'content-length': payload.length }),
      },
      ...(signal && { signal }),
      ...{ ca, cert, key },
    };
    return new Promise((resolve, reject) => {
      const call = (isSecure ? httpsRequest : httpRequest)(`${url}${path}${search}`, settings);
      call.once('response', resolve);
      call.once('timeout', () => call.destroy(new Error(`no answer within ${timeoutMs} ms`)));
      call.once('error', (error: NodeJS.ErrnoException) => {
        const wasClosed = call.reusedSocket && (error.code === 'ECONNRESET' || error.code === 'EPIPE');
        reject(wasClosed ? new ClosedBeforeError(error.message) : error);
      });
      call.end(payload);
    });
  }

  async #whole(response: IncomingMessage, signal: AbortSignal | undefined): Promise<Buffer> {
    const pieces: Buffer[] = [];
    let size = 0;
    try {
      for await (const piece of response as AsyncIterable<Buffer>) {
        size += piece.length;
        if (size > MAX_ANSWER_BYTES) throw new Error(`an answer has more than ${MAX_ANSWER_BYTES} bytes`);
        pieces.push(piece);
      }
      return Buffer.concat(pieces);
    } catch (error) {
      signal?.throwIfAborted();
      throw this.#away((await this.#access()).url, error);
    }
  }

  #away(url: string, error: unknown): Error {
    if (error instanceof ApiError || error instanceof ApiAwayError) return error;
    const reason = Error.isError(error) ? error.message : String(error);
    return new ApiAwayError(`The Kubernetes API server at ${url} does not answer (${reason}).`);
  }
}

/** The connection that a call was to use was closed before the call reached the server. */
class ClosedBeforeError extends Error {}

/** The value instead of a refusal with this status. */
export async function orElse<T, E>(status: number | readonly number[], value: E, work: () => Promise<T>): Promise<T | E> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof ApiError && [status].flat().includes(error.status)) return value;
    throw error;
  }
}
