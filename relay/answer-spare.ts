import type { IncomingMessage, ServerResponse } from 'node:http';
import type { WireName } from '../lib/settings/models.ts';
import type { Wire } from './wires/wire.ts';

const ID = 'warm-up';
const USAGE = { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 };

const openAiChunk = (fields: object): string =>
  `data: ${JSON.stringify({ id: ID, object: 'chat.completion.chunk', created: 0, model: ID, ...fields })}\n\n`;
const openAiChoice = (delta: object, finishReason: string | null): string =>
  openAiChunk({ choices: [{ index: 0, delta, finish_reason: finishReason }] });
const anthropicEvent = (event: { type: string; [field: string]: unknown }): string =>
  `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`;

/** One word, as a stream: gateways ask for nothing else. */
const ANSWERS: Readonly<Record<WireName, string>> = {
  'openai-completions': [
    openAiChoice({ role: 'assistant', content: 'Ready' }, null),
    openAiChoice({}, 'stop'),
    openAiChunk({ choices: [], usage: USAGE }),
    'data: [DONE]\n\n',
  ].join(''),
  'anthropic-messages': [
    anthropicEvent({
      type: 'message_start',
      message: {
        ...{ id: ID, type: 'message', role: 'assistant', model: ID, content: [], stop_reason: null, stop_sequence: null },
        usage: { input_tokens: 1, output_tokens: 1 },
      },
    }),
    anthropicEvent({ type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } }),
    anthropicEvent({ type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: 'Ready' } }),
    anthropicEvent({ type: 'content_block_stop', index: 0 }),
    anthropicEvent({
      type: 'message_delta',
      delta: { stop_reason: 'end_turn', stop_sequence: null },
      usage: { output_tokens: 1 },
    }),
    anthropicEvent({ type: 'message_stop' }),
  ].join(''),
};

/** Answers the throw-away turn of an agent that is no customer's: no provider is asked, and nothing is counted. */
export function answerSpare(wire: Wire, request: IncomingMessage, response: ServerResponse): void {
  request.resume();
  response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-cache' });
  response.end(ANSWERS[wire.name]);
}
