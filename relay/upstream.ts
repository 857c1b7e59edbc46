import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import type { Log } from '../lib/log.ts';
import { post } from '../lib/net/post.ts';
import { boundedBody } from './bounded-body.ts';
import type { ChatRequest } from './chat-request.ts';
import type { ModelProvider } from './model-provider.ts';
import { refusalOf } from './provider-refusal.ts';
import { RelayError } from './relay-error.ts';

/** What a provider may take before its call is cut. */
export interface UpstreamLimits {
  /** Before it begins to answer. */
  thinkingMs: number;
  /** Without a byte, once it has begun. */
  silenceMs: number;
}

/** As long as a gateway waits: a model may think for minutes before its first token. */
const LIMITS: UpstreamLimits = { thinkingMs: 600_000, silenceMs: 300_000 };
/** Many times the longest answer of any model. One that is no stream is held in memory until it is whole. */
const MAX_STREAM_BYTES = 128 * 1024 ** 2;
const MAX_OBJECT_BYTES = 4 * 1024 ** 2;
const MAX_TYPE_CHARACTERS = 200;
/** How long a connection waits for the next call: less than most providers keep it. */
const IDLE_MS = 4_000;

/** The model provider behind this base URL (ending in /v1). It sees its own key and never a relay token. */
export function createUpstream(
  { url, key }: { url: string; key: string | undefined },
  log: Log,
  { thinkingMs, silenceMs }: UpstreamLimits = LIMITS,
): ModelProvider {
  const connections = { keepAlive: true, timeout: IDLE_MS };
  const agents = { http: new HttpAgent(connections), https: new HttpsAgent(connections) };
  const completions = new URL(`${url.replace(/\/+$/, '')}/chat/completions`);
  return {
    async complete({ request: chat, traceparent, signal, onCut }) {
      const thinking = new AbortController();
      const late = setTimeout(() => thinking.abort(), thinkingMs);
      const limits = AbortSignal.any([signal, thinking.signal]);
      let wasSent = false;
      const answer = await post(completions, {
        agents,
        headers: {
          'content-type': 'application/json',
          accept: chat.stream ? 'text/event-stream' : 'application/json',
          ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
          ...(traceparent === undefined ? {} : { traceparent }),
        },
        body: JSON.stringify(withUsage(chat)),
        signal: limits,
        onSent: () => (wasSent = true),
        silenceMs,
      })
        .catch((cause: unknown) => {
          if (wasSent && limits.aborted) onCut?.();
          throw limits.aborted ? tooLate(cause) : unreachable(cause);
        })
        .finally(() => clearTimeout(late));
      const { statusCode = 0 } = answer;
      if (statusCode < 200 || statusCode > 299) throw await refusalOf(answer, log);
      const contentType = typeOf(answer.headers['content-type']);
      const isStream = isEventStream(contentType);
      return { contentType, isStream, body: boundedBody(answer, isStream ? MAX_STREAM_BYTES : MAX_OBJECT_BYTES) };
    },
    // Not close(): at this point every call has ended or was cut.
    async close() {
      agents.http.destroy();
      agents.https.destroy();
    },
  };
}

function typeOf(given: string | undefined): string {
  return given !== undefined && given.length <= MAX_TYPE_CHARACTERS ? given : 'application/json';
}

function isEventStream(contentType: string): boolean {
  return /^text\/event-stream\b/i.test(contentType);
}

/** Usage is what we count, whatever the caller asked for. */
function withUsage(chat: ChatRequest): ChatRequest {
  return chat.stream ? { ...chat, stream_options: { ...chat.stream_options, include_usage: true } } : chat;
}

function tooLate(cause: unknown): RelayError {
  return new RelayError(504, 'The model provider did not respond in time. Try again in a moment.', { cause });
}

function unreachable(cause: unknown): RelayError {
  return new RelayError(502, 'The model provider could not be reached. Try again in a moment.', { cause });
}
