import { setTimeout as sleep } from 'node:timers/promises';
import { Agent, request } from 'undici';
import type { Dispatcher } from 'undici';
import { createDnsLookup, filterLookup, lookupLocally, UnsafeTargetError } from './safe-lookup.ts';
import type { Lookup } from './safe-lookup.ts';
import { targetProblem } from './safe-target.ts';

/** Sends to addresses that strangers chose: to public hosts only, within limits of time and size, without redirects. */
export interface SafeFetch {
  /** Resolves with whatever the host answered. Rejects with UnsafeTargetError, the signal's reason, or what went wrong. */
  post(url: string, request: SafeRequest): Promise<SafeAnswer>;
  /** Cuts what is under way. */
  close(): Promise<void>;
}

export interface SafeRequest {
  headers: Record<string, string>;
  body: Buffer;
  signal: AbortSignal;
}

export interface SafeAnswer {
  status: number;
  retryAfter: string | null;
  /** The first bytes of the body. */
  text: string;
}

interface SafeFetchOptions {
  /** For local development and tests: http, and targets that are not public. */
  allowPrivate: boolean;
  lookup?: Lookup;
  /** From the first step to the end of the answer's headers. */
  timeoutMs?: number;
  /** How much longer the kept part of the body may take. */
  bodyTimeoutMs?: number;
}

const TIMEOUT_MS = 15_000;
const BODY_TIMEOUT_MS = 2_000;
const CONNECT_TIMEOUT_MS = 10_000;
const KEPT_BYTES = 4_096;
const MAX_HEADER_BYTES = 16_384;
const CONNECTIONS_PER_ORIGIN = 128;

/** Makes one; it keeps connections open between requests for some seconds. */
export function createSafeFetch(options: SafeFetchOptions): SafeFetch {
  const { allowPrivate, timeoutMs = TIMEOUT_MS, bodyTimeoutMs = BODY_TIMEOUT_MS } = options;
  const lookup = options.lookup ?? (allowPrivate ? lookupLocally : createDnsLookup());
  const agent = new Agent({
    connect: { lookup: filterLookup(lookup, { allowPrivate }), timeout: CONNECT_TIMEOUT_MS },
    connections: CONNECTIONS_PER_ORIGIN,
    pipelining: 1,
    maxHeaderSize: MAX_HEADER_BYTES,
    headersTimeout: timeoutMs,
    bodyTimeout: bodyTimeoutMs,
  });
  return {
    async post(url, { headers, body, signal }) {
      // The lookup is never asked about an address that stands in the URL itself.
      const problem = targetProblem(url, { allowPrivate });
      if (problem !== null) throw new UnsafeTargetError(`The URL ${problem}`);
      const answer = await request(url, {
        dispatcher: agent,
        method: 'POST',
        headers,
        body,
        signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
      });
      const text = await firstBytes(answer.body, bodyTimeoutMs);
      const retryAfter = answer.headers['retry-after'];
      return { status: answer.statusCode, retryAfter: typeof retryAfter === 'string' ? retryAfter : null, text };
    },
    close: () => agent.destroy(),
  };
}

/**
 * As much of the body as is kept and comes in time. A body that goes on, or breaks off, changes nothing about the
 * answer; its connection is cut.
 */
async function firstBytes(body: Dispatcher.ResponseData['body'], withinMs: number): Promise<string> {
  body.on('error', () => undefined);
  const kept: Uint8Array[] = [];
  let size = 0;
  const read = async (): Promise<void> => {
    for await (const chunk of body) {
      const bytes: Uint8Array = Buffer.from(chunk);
      kept.push(bytes.subarray(0, KEPT_BYTES - size));
      size += bytes.length;
      if (size > KEPT_BYTES) return;
    }
  };
  const over = new AbortController();
  const reading = read().catch(() => undefined);
  await Promise.race([reading, sleep(withinMs, undefined, { signal: over.signal, ref: false }).catch(() => undefined)]);
  over.abort();
  if (!body.readableEnded) body.destroy();
  return Buffer.concat(kept).toString('utf8');
}
