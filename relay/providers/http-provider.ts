import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import type { Log } from '../../lib/log.ts';
import { post } from '../../lib/net/post.ts';
import { RelayError } from '../relay-error.ts';
import { beginInTime } from './begin-in-time.ts';
import { begunBody } from './begun-body.ts';
import { boundedBody } from './bounded-body.ts';
import type { ModelProvider, ProviderCall } from './model-provider.ts';
import { CANNOT_BE_CALLED, errorInEvent, refusalOf } from './provider-refusal.ts';

/** What a provider may take before its call is cut. */
export interface UpstreamLimits {
  /** Before it begins to answer. */
  thinkingMs: number;
  /** Without a byte, once it has begun. */
  silenceMs: number;
}

/** As long as a gateway waits: a model may think for minutes before its first token. */
export const LIMITS: UpstreamLimits = { thinkingMs: 600_000, silenceMs: 300_000 };
/** Many times the longest answer of any model. One that is no stream is held in memory until it is whole. */
export const MAX_STREAM_BYTES = 128 * 1024 ** 2;
export const MAX_OBJECT_BYTES = 4 * 1024 ** 2;
const MAX_TYPE_CHARACTERS = 200;
/** How long a connection waits for the next call: less than most providers keep it. */
const IDLE_MS = 4_000;

/** What goes out for one call. */
export interface HttpCall {
  url: URL;
  headers: Record<string, string>;
  body: string;
}

interface Options {
  /** Its name among PROVIDERS. */
  name: string;
  log: Log;
  limits?: UpstreamLimits | undefined;
}

/** A provider that is called over HTTP and whose answers pass through as they are. It never sees a relay token. */
export function createHttpProvider(
  prepare: (call: ProviderCall) => Promise<HttpCall>,
  { name, log, limits: { thinkingMs, silenceMs } = LIMITS }: Options,
): ModelProvider {
  const connections = { keepAlive: true, timeout: IDLE_MS };
  const agents = { http: new HttpAgent(connections), https: new HttpsAgent(connections) };
  return {
    complete: (call) =>
      beginInTime(call, { provider: name, thinkingMs }, async ({ signal, sent, refused, end }) => {
        const { url, headers, body } = await prepare(call).catch((cause: unknown) => {
          throw notPrepared(name, cause, log);
        });
        const { traceparent } = call;
        const answer = await post(url, {
          agents,
          headers: { ...headers, ...(traceparent === undefined ? {} : { traceparent }) },
          body,
          signal,
          onSent: sent,
          silenceMs,
          onSilence: end,
        }).catch((cause: unknown) => {
          throw unreachable(name, cause);
        });
        const { statusCode = 0 } = answer;
        if (statusCode < 200 || statusCode > 299) {
          refused();
          throw await refusalOf(answer, name, log);
        }
        const errorOf = (json: string): RelayError | null => {
          const error = errorInEvent(json, name, log);
          if (error) refused();
          return error;
        };
        const contentType = typeOf(answer.headers['content-type']);
        const isStream = isEventStream(contentType);
        const bounded = boundedBody(answer, isStream ? MAX_STREAM_BYTES : MAX_OBJECT_BYTES);
        return { contentType, isStream, body: await begunBody(bounded, isStream, errorOf) };
      }),
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

/** A call that could not even be made: its key is missing, or the machine has no credentials of AWS. */
export function notPrepared(provider: string, cause: unknown, log: Log): RelayError {
  const advice = `${Error.isError(cause) ? cause.message : 'The call could not be made'}. Check the settings of the provider.`;
  log.error({ provider, err: cause }, 'a model provider cannot be called');
  return new RelayError(400, CANNOT_BE_CALLED, { cause, advice, isOurFault: true });
}

/** No answer began, because the connection failed. */
export function unreachable(provider: string, cause: unknown): RelayError {
  return new RelayError(502, 'The model provider could not be reached. Try again in a moment.', {
    cause,
    advice: `The provider "${provider}" cannot be reached. Check its url and the network of this machine.`,
  });
}
