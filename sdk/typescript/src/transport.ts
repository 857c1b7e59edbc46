import { ApiError, ApiConnectionError, errorOfBody, ThermidoraError } from './errors.ts';
import { isStillRunning, isWorthRepeating, pause, pauseMs } from './retries.ts';
import type { Failure } from './retries.ts';
import type { CallOptions, ClientOptions, RawBody } from './types.ts';

const DEFAULT_URL = 'https://core.thermidora.com/v1';
const DEFAULT_TIMEOUT_MS = 150_000;
const DEFAULT_RETRIES = 4;

/** A call, as the methods describe it. */
export interface Call {
  body?: unknown;
  query?: object;
  /** It takes an Idempotency-Key, so it can be repeated. */
  takesKey?: boolean;
  headers?: Record<string, string>;
  options: CallOptions;
}

/** Sends calls to the API and repeats those that failed, so that the work of each is done once. */
export class Transport {
  readonly #baseUrl: string;
  readonly #credentials: Record<string, string>;
  readonly #fetch: NonNullable<ClientOptions['fetch']>;
  readonly #timeoutMs: number;
  readonly #maxRetries: number;

  constructor({ apiKey, token, baseUrl = DEFAULT_URL, timeoutMs, maxRetries, fetch: given }: ClientOptions) {
    if (apiKey !== undefined && token !== undefined) throw new ThermidoraError('Give either an apiKey or a token.');
    this.#baseUrl = baseUrl.replace(/\/+$/, '');
    this.#credentials = {
      ...(apiKey === undefined ? {} : { 'x-api-key': apiKey }),
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    };
    this.#fetch = given ?? ((url, init) => fetch(url, init));
    this.#timeoutMs = timeoutMs ?? DEFAULT_TIMEOUT_MS;
    this.#maxRetries = maxRetries ?? DEFAULT_RETRIES;
  }

  /** The number of retries of a call, or of attempts to go on with a stream that do not bring it any further. */
  retriesOf({ maxRetries }: CallOptions): number {
    return maxRetries ?? this.#maxRetries;
  }

  /** The JSON of the answer. It is not validated: the types are those of the document. */
  async json<T>(method: string, path: string, call: Call): Promise<T> {
    return this.#repeat(method, call, async (keyed) => {
      const tooLong = AbortSignal.timeout(this.#timeoutOf(keyed));
      const { signal } = keyed.options;
      const response = await this.#send(method, path, keyed, signal ? AbortSignal.any([signal, tooLong]) : tooLong);
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- boundary: the API keeps what its document says
      return (await readJson(response, signal)) as T;
    });
  }

  /** The answer itself, whose body is read by the caller: a file. The time limit is for its head alone. */
  async raw(method: string, path: string, call: Call): Promise<Response> {
    return this.#repeat(method, call, (keyed) => this.open(method, path, keyed, keyed.options.signal));
  }

  /** One attempt whose body is read as it comes. The time limit is for the head of the answer. Throws FailedAttempt. */
  async open(method: string, path: string, call: Call, signal: AbortSignal | undefined): Promise<Response> {
    const slow = new AbortController();
    const timer = setTimeout(() => slow.abort(new Error('it took too long')), this.#timeoutOf(call));
    try {
      return await this.#send(method, path, call, signal ? AbortSignal.any([signal, slow.signal]) : slow.signal);
    } finally {
      clearTimeout(timer);
    }
  }

  /** A call with the key that all its attempts share. */
  withKey(call: Call): Call {
    if (!call.takesKey) return call;
    const key = call.options.idempotencyKey ?? globalThis.crypto.randomUUID();
    return { ...call, headers: { ...call.headers, 'idempotency-key': key } };
  }

  #timeoutOf({ options }: Call): number {
    return options.timeoutMs ?? this.#timeoutMs;
  }

  async #repeat<T>(method: string, given: Call, attempt: (keyed: Call) => Promise<T>): Promise<T> {
    const call = this.withKey(given);
    const mayRepeat = (method === 'GET' || call.takesKey === true) && !(call.body instanceof ReadableStream);
    const askUntil = Date.now() + this.#timeoutOf(call);
    let retries = 0;
    for (;;) {
      try {
        return await attempt(call);
      } catch (error) {
        if (!(error instanceof FailedAttempt)) throw error;
        const { failure } = error;
        const isWaiting = isStillRunning(failure) && Date.now() < askUntil;
        const isOver = !isWaiting && retries >= this.retriesOf(call.options);
        if (!mayRepeat || isOver || !isWorthRepeating(failure)) throw failure.error;
        await pause(pauseMs(retries, failure), call.options.signal);
        if (!isWaiting) retries += 1;
      }
    }
  }

  async #send(method: string, path: string, call: Call, signal: AbortSignal): Promise<Response> {
    const { body, query, headers, options } = call;
    let response: Response;
    try {
      response = await this.#fetch(`${this.#baseUrl}${path}${searchOf(query)}`, {
        method,
        headers: { ...contentType(body), ...options.headers, ...headers, ...this.#credentials },
        ...bodyOf(body),
        signal,
        // It would carry the key to another place.
        redirect: 'error',
      });
    } catch (error) {
      throw connectionLost(error, options.signal);
    }
    if (!response.ok) throw await refusal(response, options.signal);
    return response;
  }
}

/** An attempt that brought no success. Callers of the library get its `failure.error`. */
export class FailedAttempt extends ThermidoraError {
  readonly failure: Failure;

  constructor(failure: Failure) {
    super(failure.error.message);
    this.failure = failure;
  }
}

/** What a failed fetch or read means: the caller's own abort is thrown as it is. */
export function connectionLost(cause: unknown, signal: AbortSignal | undefined): unknown {
  return signal?.aborted ? signal.reason : lostConnection(cause);
}

/** The failure of an attempt without an answer. */
export function lostConnection(cause: unknown): FailedAttempt {
  const said = cause instanceof Error ? cause.message : String(cause);
  const error = new ApiConnectionError(`The API did not answer: ${said}`, { cause });
  return new FailedAttempt({ error, retryAfterMs: null, isFromApi: false });
}

async function refusal(response: Response, signal: AbortSignal | undefined): Promise<FailedAttempt> {
  let text: string;
  try {
    text = await response.text();
  } catch (error) {
    if (signal?.aborted) throw error;
    text = '';
  }
  const told = errorOfBody(parsed(text));
  const { status } = response;
  const message = `The answer had the status ${status} and was not from the API.`;
  return new FailedAttempt({
    error: told ?? new ApiError({ code: 'unavailable', message, status, retryable: status >= 500 }),
    retryAfterMs: retryAfterOf(response),
    isFromApi: told !== null,
  });
}

async function readJson(response: Response, signal: AbortSignal | undefined): Promise<unknown> {
  let text: string;
  try {
    text = await response.text();
  } catch (error) {
    throw connectionLost(error, signal);
  }
  const value = parsed(text);
  if (value === undefined) throw lostConnection(new Error('it sent no JSON'));
  return value;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

function retryAfterOf({ headers }: Response): number | null {
  const text = headers.get('retry-after');
  return text !== null && /^\d+$/.test(text) ? Number(text) * 1_000 : null;
}

function isRaw(body: unknown): body is RawBody {
  return (
    body instanceof Blob ||
    body instanceof ArrayBuffer ||
    body instanceof Uint8Array ||
    body instanceof ReadableStream ||
    typeof body === 'string'
  );
}

function contentType(body: unknown): Record<string, string> {
  if (body === undefined) return {};
  return { 'content-type': isRaw(body) ? 'application/octet-stream' : 'application/json' };
}

function bodyOf(body: unknown): RequestInit {
  if (body === undefined) return {};
  if (!isRaw(body)) return { body: JSON.stringify(body) };
  // What a stream needs to be sent at all.
  const init: RequestInit & { duplex: 'half' } = { body, duplex: 'half' };
  return init;
}

/** An object becomes `name[key]=value`; what is not given is left out. */
function searchOf(query: object | undefined): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query ?? {}) as [string, unknown][]) {
    if (value === undefined || value === null) continue;
    if (typeof value === 'object') for (const [key, one] of Object.entries(value)) search.append(`${name}[${key}]`, String(one));
    // oxlint-disable-next-line typescript/no-base-to-string -- no object is left
    else search.append(name, String(value));
  }
  const text = search.toString();
  return text === '' ? '' : `?${text}`;
}
