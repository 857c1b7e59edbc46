import type { operations } from './generated/schema.ts';

type Id = keyof operations;
type Json<T> = T extends { content: { 'application/json': infer Body } } ? Body : never;

/** The body of an operation. */
export type BodyOf<I extends Id> = operations[I] extends { requestBody?: infer Body } ? Json<NonNullable<Body>> : never;

/** The query parameters of an operation. */
export type QueryOf<I extends Id> = NonNullable<operations[I]['parameters']['query']>;

/** What an operation answers when it succeeds. */
export type AnswerOf<I extends Id> = Json<operations[I]['responses'][keyof operations[I]['responses']]>;

/** The body of a call that sends a file. */
export type RawBody = Blob | ArrayBuffer | Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array> | string;

/** What every method takes as its last argument. */
export interface CallOptions {
  /** Aborts the call, its retries and its stream. What the call has started in the API goes on. */
  signal?: AbortSignal;
  /**
   * Names this call, so that the API does its work once however often it is sent. The client makes a key for each call that
   * changes something; give your own to be safe across restarts of your program, too.
   */
  idempotencyKey?: string;
  /** How long one attempt may take, in milliseconds. */
  timeoutMs?: number;
  /** How many times a failed attempt is repeated. */
  maxRetries?: number;
  /** Further headers of the request, such as `If-Match` or `Range`. */
  headers?: Record<string, string>;
}

/** How a client reaches the API, and its credentials. */
export interface ClientOptions {
  /** An API key, `tc_live_...`. */
  apiKey?: string | undefined;
  /** A token of `auth.register` or `auth.verify`, or the operator token of an installation. */
  token?: string | undefined;
  /** Where the API is, with `/v1`. Default: `https://core.thermidora.com/v1`. */
  baseUrl?: string | undefined;
  /** How long one attempt of a call may take, in milliseconds. Default: 150,000, more than the API waits by default. */
  timeoutMs?: number;
  /** How many times a failed attempt is repeated. Default: 4. */
  maxRetries?: number;
  /** What sends the requests. Default: the global `fetch`. */
  fetch?: (url: string, init: RequestInit) => Promise<Response>;
}
