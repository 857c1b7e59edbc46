export interface GatewayRequest {
  method?: 'GET' | 'POST';
  headers?: Record<string, string>;
  body?: string;
  /** For the whole answer, in milliseconds. */
  timeoutMs: number;
  signal?: AbortSignal | undefined;
}

export interface GatewayAnswer {
  status: number;
  /** The beginning of the body: nothing that a gateway answers us is longer. */
  text: string;
}

const MAX_BODY_BYTES = 64 * 1024;

/**
 * Sends a request to a gateway, whose agents may answer in its place: a redirect is an answer like any other and is never
 * followed, and neither time nor body are longer than they may be. Throws the signal's reason, a TimeoutError, or what
 * went wrong.
 */
export async function gatewayFetch(url: string | URL, request: GatewayRequest): Promise<GatewayAnswer> {
  const { timeoutMs, signal, ...init } = request;
  const timeout = AbortSignal.timeout(timeoutMs);
  const limits = signal ? AbortSignal.any([signal, timeout]) : timeout;
  const response = await fetch(url, { ...init, redirect: 'manual', signal: limits });
  return { status: response.status, text: await beginningOf(response) };
}

async function beginningOf({ body }: Response): Promise<string> {
  const kept: Uint8Array[] = [];
  let size = 0;
  // The body of fetch is bytes, which its type leaves open.
  const reader: ReadableStreamDefaultReader<Uint8Array> | undefined = body?.getReader();
  while (size < MAX_BODY_BYTES) {
    const chunk = (await reader?.read())?.value;
    if (!chunk) break;
    kept.push(chunk.subarray(0, MAX_BODY_BYTES - size));
    size += chunk.length;
  }
  // Ends the connection of a body that goes on. One that breaks off now was long enough.
  await reader?.cancel().catch(() => undefined);
  return Buffer.concat(kept).toString('utf8');
}
