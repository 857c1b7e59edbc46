/** What a JSON answer holds, as a client without a schema sees it. */
// oxlint-disable-next-line typescript/no-explicit-any -- boundary: tests read fields of answers whose shape they assert
export type Json = any;

export interface Answer {
  status: number;
  headers: Headers;
  body: Json;
}

/** Calls the API as one caller. */
export interface ApiClient {
  call(
    method: string,
    path: string,
    body?: object,
    options?: { headers?: Record<string, string>; signal?: AbortSignal },
  ): Promise<Answer>;
  /** The body of a call that must succeed. */
  ok(method: string, path: string, body?: object): Promise<Json>;
  /** The raw response, for streams. */
  raw(method: string, path: string, body?: object, signal?: AbortSignal): Promise<Response>;
}

/** A client of the API at this address that sends these headers with each call. */
export function createApiClient(url: string, credentials: Record<string, string>): ApiClient {
  const send = (method: string, path: string, body?: object, headers: Record<string, string> = {}, signal?: AbortSignal) =>
    fetch(`${url}/v1${path}`, {
      method,
      headers: { ...credentials, ...(body ? { 'content-type': 'application/json' } : {}), ...headers },
      ...(body ? { body: JSON.stringify(body) } : {}),
      ...(signal ? { signal } : {}),
    });
  const client: ApiClient = {
    async call(method, path, body, options = {}) {
      const response = await send(method, path, body, options.headers, options.signal);
      return { status: response.status, headers: response.headers, body: await response.json() };
    },
    async ok(method, path, body) {
      const answer = await client.call(method, path, body);
      if (answer.status >= 300) throw new Error(`${method} ${path} answered ${answer.status}: ${JSON.stringify(answer.body)}`);
      return answer.body;
    },
    raw: (method, path, body, signal) => send(method, path, body, {}, signal),
  };
  return client;
}
