export interface BoundedRequest {
  method?: 'GET' | 'POST';
  headers?: Record<string, string>;
  body?: string;
  /** For the whole answer, in milliseconds. */
  timeoutMs: number;
  /** The most bytes of the body that are read; the rest is cut. */
  maxBytes: number;
  signal?: AbortSignal | undefined;
}

export interface BoundedAnswer {
  status: number;
  /** The beginning of the body. */
  text: string;
}

/**
 * Sends a request and reads its answer within limits of time and bytes. A redirect is an answer like any other and is
 * never followed. Throws the signal's reason, a TimeoutError, or what went wrong.
 */
export async function boundedFetch(url: string | URL, request: BoundedRequest): Promise<BoundedAnswer> {
  const { timeoutMs, maxBytes, signal, ...init } = request;
  const timeout = AbortSignal.timeout(timeoutMs);
  const limits = signal ? AbortSignal.any([signal, timeout]) : timeout;
  const response = await fetch(url, { ...init, redirect: 'manual', signal: limits });
  return { status: response.status, text: await beginningOf(response, maxBytes) };
}

async function beginningOf({ body }: Response, maxBytes: number): Promise<string> {
  const kept: Uint8Array[] = [];
  let size = 0;
  // The body of fetch is bytes, which its type leaves open.
  const reader: ReadableStreamDefaultReader<Uint8Array> | undefined = body?.getReader();
  while (size < maxBytes) {
    const chunk = (await reader?.read())?.value;
    if (!chunk) break;
    kept.push(chunk.subarray(0, maxBytes - size));
    size += chunk.length;
  }
  // Ends the connection of a body that goes on. An error that this causes does not matter, because enough was read.
  await reader?.cancel().catch(() => undefined);
  return Buffer.concat(kept).toString('utf8');
}
