import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { BedrockRuntimeClient } from '@aws-sdk/client-bedrock-runtime';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import type { Log } from '../../../lib/log.ts';
import { isAnthropicModel } from '../../../lib/settings/models.ts';
import { begunBody } from '../begun-body.ts';
import { boundedBody } from '../bounded-body.ts';
import { LateError, LIMITS, MAX_OBJECT_BYTES, MAX_STREAM_BYTES, unreachable } from '../http-provider.ts';
import type { UpstreamLimits } from '../http-provider.ts';
import type { ModelProvider, ProviderCall } from '../model-provider.ts';
import type { ProviderKey } from '../provider-key.ts';
import { bedrockRefusal } from './bedrock-refusal.ts';
import { converse, converseStream } from './converse.ts';
import { invoke, invokeStream } from './invoke.ts';

interface BedrockSettings {
  /** Its name among PROVIDERS. */
  name: string;
  region: string;
  /** Another endpoint than the region's own. */
  url: string | undefined;
  /** Null: the credentials that the AWS SDK finds. */
  key: ProviderKey | null;
  limits?: UpstreamLimits | undefined;
}

/**
 * Amazon Bedrock. Models of Anthropic take and give Anthropic's messages; all others are called by Converse and take and
 * give OpenAI's chat completions.
 */
export function createBedrock({ name, region, url, key, limits = LIMITS }: BedrockSettings, log: Log): ModelProvider {
  const connections = { keepAlive: true };
  const requestHandler = new NodeHttpHandler({
    httpAgent: new HttpAgent(connections),
    httpsAgent: new HttpsAgent(connections),
    connectionTimeout: limits.thinkingMs,
  });
  const client = new BedrockRuntimeClient({
    region,
    ...(url === undefined ? {} : { endpoint: url }),
    // What may pass is tried again by the routes, which know the other providers.
    maxAttempts: 1,
    requestHandler,
    ...(key === null ? {} : { token: tokenOf(key), authSchemePreference: ['httpBearerAuth'] }),
  });
  return {
    async complete(call) {
      const { thinkingMs, silenceMs } = limits;
      const ending = new AbortController();
      const late = setTimeout(() => ending.abort(new LateError()), Math.min(call.beginMs ?? thinkingMs, thinkingMs));
      const signal = AbortSignal.any([call.signal, ending.signal]);
      const refused = (error: unknown) =>
        ending.signal.aborted ? unreachable(name, ending.signal.reason) : bedrockRefusal(error, name, log);
      try {
        const isStream = call.request.stream === true;
        const body = await begin(client, { ...call, signal });
        const audible = refusing(withoutSilence(body, silenceMs, ending), refused);
        const bounded = boundedBody(audible, isStream ? MAX_STREAM_BYTES : MAX_OBJECT_BYTES);
        const contentType = isStream ? 'text/event-stream; charset=utf-8' : 'application/json';
        return { contentType, isStream, body: await begunBody(bounded, isStream, () => null) };
      } catch (error) {
        if (call.signal.aborted) throw error;
        throw refused(error);
      } finally {
        clearTimeout(late);
      }
    },
    async close() {
      client.destroy();
    },
  };
}

function begin(client: BedrockRuntimeClient, { request, signal }: ProviderCall): Promise<AsyncIterable<Uint8Array>> {
  if (isAnthropicModel(request.model))
    return request.stream ? invokeStream(client, request, signal) : invoke(client, request, signal);
  return request.stream ? converseStream(client, request, signal) : converse(client, request, signal);
}

/** An identity that has expired is asked for again, so that a key may be exchanged. */
function tokenOf(key: ProviderKey) {
  return async () => ({ token: (await key()) ?? '', expiration: new Date() });
}

async function* refusing(source: AsyncIterable<Uint8Array>, refused: (error: unknown) => Error): AsyncGenerator<Uint8Array> {
  try {
    yield* source;
  } catch (error) {
    throw refused(error);
  }
}

/** The same source, but it ends the call when it says nothing for too long. */
async function* withoutSilence(
  source: AsyncIterable<Uint8Array>,
  silenceMs: number,
  ending: AbortController,
): AsyncGenerator<Uint8Array> {
  const iterator = source[Symbol.asyncIterator]();
  try {
    for (;;) {
      const silent = setTimeout(() => ending.abort(new Error('The answer stopped')), silenceMs);
      const next = await iterator.next().finally(() => clearTimeout(silent));
      if (next.done === true) return;
      yield next.value;
    }
  } finally {
    // It ends what is left of the call, as a reader that leaves does.
    ending.abort(new Error('The answer is no longer read'));
    await iterator.return?.();
  }
}
