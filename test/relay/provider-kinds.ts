import { anthropicEvent } from '../support/anthropic-events.ts';
import { awsChunk } from '../support/aws-frames.ts';
import { contentOf } from './relay-under-test.ts';

/** One kind of provider: its setting, the bytes of its streams, and what a gateway that uses it sends and receives. */
export interface ProviderKind {
  name: 'openai' | 'anthropic' | 'bedrock';
  /** What PROVIDERS has for one at this address, given without a path. */
  setting(url: string): Record<string, string>;
  /** The model's name at the provider. */
  upstream: string;
  /** Where the provider takes calls for that model. */
  upstreamPath: string;
  contentType: string;
  begin(): Uint8Array;
  word(text: string): Uint8Array;
  end(): Uint8Array;
  /** Where the relay takes calls, below its base URL. */
  path: 'chat/completions' | 'messages';
  /** The text of what a gateway has received. */
  textOf(stream: string): string;
  /** Whether what a gateway has received is complete. */
  isWhole(stream: string): boolean;
}

const data = (fields: object): Uint8Array => Buffer.from(`data: ${JSON.stringify(fields)}\n\n`);
const choice = (delta: object): object => ({ choices: [{ index: 0, delta }] });

const openai: ProviderKind = {
  name: 'openai',
  setting: (url) => ({ kind: 'openai', url: `${url}/v1`, key: 'a-key' }),
  upstream: 'a-model',
  upstreamPath: '/v1/chat/completions',
  contentType: 'text/event-stream',
  begin: () => data(choice({ role: 'assistant', content: '' })),
  word: (text) => data(choice({ content: text })),
  end: () =>
    Buffer.concat([data({ choices: [], usage: { prompt_tokens: 3, completion_tokens: 2 } }), Buffer.from('data: [DONE]\n\n')]),
  path: 'chat/completions',
  textOf: contentOf,
  isWhole: (stream) => stream.includes('data: [DONE]'),
};

const BEGIN = [
  {
    type: 'message_start',
    message: { id: 'msg_1', role: 'assistant', content: [], usage: { input_tokens: 3, output_tokens: 1 } },
  },
  { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } },
];
const END = [
  { type: 'content_block_stop', index: 0 },
  { type: 'message_delta', delta: { stop_reason: 'end_turn' }, usage: { output_tokens: 2 } },
  { type: 'message_stop' },
];
const wordEvent = (text: string) => ({ type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text } });

const anthropic: ProviderKind = {
  name: 'anthropic',
  setting: (url) => ({ kind: 'anthropic', url, key: 'a-key' }),
  upstream: 'claude',
  upstreamPath: '/v1/messages',
  contentType: 'text/event-stream',
  begin: () => Buffer.from(BEGIN.map((event) => anthropicEvent(event)).join('')),
  word: (text) => Buffer.from(anthropicEvent(wordEvent(text))),
  end: () => Buffer.from(END.map((event) => anthropicEvent(event)).join('')),
  path: 'messages',
  textOf: (stream) =>
    [...stream.matchAll(/"text_delta","text":("(?:[^"\\]|\\.)*")/g)].map(([, json]) => String(JSON.parse(json ?? '""'))).join(''),
  isWhole: (stream) => stream.includes('event: message_stop'),
};

const CLAUDE = 'us.anthropic.claude-sonnet-4-20250514-v1:0';

const bedrock: ProviderKind = {
  ...anthropic,
  name: 'bedrock',
  setting: (url) => ({ kind: 'bedrock', region: 'us-east-1', url, key: 'a-key' }),
  upstream: CLAUDE,
  upstreamPath: `/model/${encodeURIComponent(CLAUDE)}/invoke-with-response-stream`,
  contentType: 'application/vnd.amazon.eventstream',
  begin: () => Buffer.concat(BEGIN.map((event) => awsChunk(event))),
  word: (text) => awsChunk(wordEvent(text)),
  end: () => Buffer.concat(END.map((event) => awsChunk(event))),
};

export const PROVIDER_KINDS: readonly ProviderKind[] = [openai, anthropic, bedrock];
