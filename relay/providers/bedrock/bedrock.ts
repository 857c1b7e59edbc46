import { BedrockRuntimeClient } from '@aws-sdk/client-bedrock-runtime';
import type { Log } from '../../../lib/log.ts';
import { isAnthropicModel } from '../../../lib/settings/models.ts';
import type { ChatRequest } from '../../chat-request.ts';
import type { RelayError } from '../../relay-error.ts';
import { beginInTime } from '../begin-in-time.ts';
import { begunBody } from '../begun-body.ts';
import { boundedBody } from '../bounded-body.ts';
import { LIMITS, MAX_OBJECT_BYTES, MAX_STREAM_BYTES } from '../http-provider.ts';
import type { UpstreamLimits } from '../http-provider.ts';
import type { ModelProvider } from '../model-provider.ts';
import type { ProviderKey } from '../provider-key.ts';
import { bedrockRefusal } from './bedrock-refusal.ts';
import { converse, converseStream } from './converse.ts';
import { invoke, invokeStream } from './invoke.ts';
import { createRequestHandler } from './request-handler.ts';
import type { Sending } from './request-handler.ts';

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
  const client = new BedrockRuntimeClient({
    region,
    ...(url === undefined ? {} : { endpoint: url }),
    // What may pass is tried again by the routes, which know the other providers.
    maxAttempts: 1,
    requestHandler: createRequestHandler(limits.silenceMs),
    ...(key === null ? {} : { token: tokenOf(key), authSchemePreference: ['httpBearerAuth'] }),
  });
  return {
    complete: (call) =>
      beginInTime(call, { provider: name, thinkingMs: limits.thinkingMs }, async ({ signal, sent, end }) => {
        let close = (): void => {};
        const sending: Sending = { abortSignal: signal, sent, end, answered: (answer) => (close = () => answer.destroy()) };
        const refused = (error: unknown): RelayError => bedrockRefusal(error, name, log);
        const isStream = call.request.stream === true;
        const body = await begin(client, call.request, sending).catch((error: unknown) => {
          throw refused(error);
        });
        const ours = refusing(body, { refused, close: () => close() });
        const bounded = boundedBody(ours, isStream ? MAX_STREAM_BYTES : MAX_OBJECT_BYTES);
        const contentType = isStream ? 'text/event-stream; charset=utf-8' : 'application/json';
        return { contentType, isStream, body: await begunBody(bounded, isStream, () => null) };
      }),
    async close() {
      client.destroy();
    },
  };
}

async function begin(client: BedrockRuntimeClient, request: ChatRequest, sending: Sending): Promise<AsyncIterable<Uint8Array>> {
  if (isAnthropicModel(request.model))
    return request.stream ? invokeStream(client, request, sending) : invoke(client, request, sending);
  return request.stream ? converseStream(client, request, sending) : converse(client, request, sending);
}

/** An identity that has expired is asked for again, so that a key may be exchanged. */
function tokenOf(key: ProviderKey) {
  return async () => ({ token: (await key()) ?? '', expiration: new Date() });
}

/** The same source with our errors in place of the SDK's. However it ends, what is left of its connection is closed. */
async function* refusing(
  source: AsyncIterable<Uint8Array>,
  { refused, close }: { refused: (error: unknown) => Error; close: () => void },
): AsyncGenerator<Uint8Array> {
  const iterator = source[Symbol.asyncIterator]();
  try {
    for (;;) {
      const next = await iterator.next();
      if (next.done === true) return;
      yield next.value;
    }
  } catch (error) {
    throw refused(error);
  } finally {
    // First: a source that waits for more is told by nothing else.
    close();
    await iterator.return?.();
  }
}
