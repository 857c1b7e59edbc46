import type { Log } from '../../lib/log.ts';
import { createHttpProvider } from './http-provider.ts';
import type { UpstreamLimits } from './http-provider.ts';
import type { ModelProvider, ProviderCall } from './model-provider.ts';
import type { ProviderKey } from './provider-key.ts';

/** The form of requests and answers, as Anthropic dates it. */
const VERSION = '2023-06-01';

interface AnthropicSettings {
  /** Its name among PROVIDERS. */
  name: string;
  /** Base URL, with or without /v1 at its end. */
  url: string;
  key: ProviderKey;
  headers: Record<string, string>;
  limits?: UpstreamLimits | undefined;
}

/** A provider that takes Anthropic's messages. */
export function createAnthropic({ name, url, key, headers, limits }: AnthropicSettings, log: Log): ModelProvider {
  const messages = new URL(`${url.replace(/(\/v1)?\/*$/, '')}/v1/messages`);
  const prepare = async ({ request }: ProviderCall) => {
    const apiKey = await key();
    return {
      url: messages,
      headers: {
        'anthropic-version': VERSION,
        ...headers,
        'content-type': 'application/json',
        accept: request.stream ? 'text/event-stream' : 'application/json',
        ...(apiKey === undefined ? {} : { 'x-api-key': apiKey }),
      },
      body: JSON.stringify(request),
    };
  };
  return createHttpProvider(prepare, { name, log, limits });
}
