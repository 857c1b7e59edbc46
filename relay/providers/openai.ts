import type { ChatRequest } from '../chat-request.ts';
import { createHttpProvider } from './http-provider.ts';
import type { UpstreamLimits } from './http-provider.ts';
import type { Log } from '../../lib/log.ts';
import type { ModelProvider } from './model-provider.ts';

/** Gives the headers that prove a request of this URL and body to the provider. Rejects when it has nothing to prove it with. */
export type Prove = (url: URL, headers: Record<string, string>, body: string) => Promise<Record<string, string>>;

interface OpenAiSettings {
  /** Its name among PROVIDERS. */
  name: string;
  /** Base URL, ending in /v1. */
  url: string;
  /** Of an organisation or a project, for example. */
  headers: Record<string, string>;
  prove: Prove;
  limits?: UpstreamLimits | undefined;
}

/** A provider that takes OpenAI's chat completions. */
export function createOpenAi({ name, url, headers, prove, limits }: OpenAiSettings, log: Log): ModelProvider {
  const completions = new URL(`${url.replace(/\/+$/, '')}/chat/completions`);
  const prepare = async ({ request }: { request: ChatRequest }) => {
    const body = JSON.stringify(withUsage(request));
    const plain = {
      ...headers,
      'content-type': 'application/json',
      accept: request.stream ? 'text/event-stream' : 'application/json',
    };
    return { url: completions, headers: { ...plain, ...(await prove(completions, plain, body)) }, body };
  };
  return createHttpProvider(prepare, { name, log, limits });
}

/** Usage is what we count, whatever the caller asked for. */
function withUsage(chat: ChatRequest): ChatRequest {
  return chat.stream ? { ...chat, stream_options: { include_usage: true } } : chat;
}
