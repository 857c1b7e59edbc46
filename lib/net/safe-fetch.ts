import { Agent as HttpAgent } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';
import { post } from './post.ts';
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
const KEPT_BYTES = 4_096;
const MAX_HEADER_BYTES = 16_384;
const CONNECTIONS_PER_ORIGIN = 128;
/** Shorter than most servers keep an idle connection, so that few are closed just when they are used again. */
const IDLE_MS = 4_000;

/** Makes one; it keeps connections open between requests for some seconds. */
export function createSafeFetch(options: SafeFetchOptions): SafeFetch {
  const { allowPrivate, timeoutMs = TIMEOUT_MS, bodyTimeoutMs = BODY_TIMEOUT_MS } = options;
  const lookup = options.lookup ?? (allowPrivate ? lookupLocally : createDnsLookup());
  const connections = {
    keepAlive: true,
    lookup: filterLookup(lookup, { allowPrivate }),
    maxSockets: CONNECTIONS_PER_ORIGIN,
    timeout: IDLE_MS,
  };
  const agents = { http: new HttpAgent(connections), https: new HttpsAgent(connections) };
  return {
    async post(url, { headers, body, signal }) {
      // The lookup is never asked about an address that stands in the URL itself.
      const problem = targetProblem(url, { allowPrivate });
      if (problem !== null) throw new UnsafeTargetError(`The URL ${problem}`);
      const answer = await post(new URL(url), {
        agents,
        headers,
        body,
        signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
        maxHeaderBytes: MAX_HEADER_BYTES,
      });
      const text = await firstBytes(answer, bodyTimeoutMs);
      return { status: answer.statusCode ?? 0, retryAfter: answer.headers['retry-after'] ?? null, text };
    },
    async close() {
      agents.http.destroy();
      agents.https.destroy();
    },
  };
}

/**
 * As much of the body as is kept and comes in time. A body that goes on, or breaks off, changes nothing about the
 * answer; its connection is cut.
 */
async function firstBytes(body: IncomingMessage, withinMs: number): Promise<string> {
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
