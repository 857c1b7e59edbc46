/** One event of a stream of Anthropic's messages. */
export const anthropicEvent = (data: { type: string } & Record<string, unknown>, lineEnd = '\n'): string =>
  `event: ${data.type}${lineEnd}data: ${JSON.stringify(data)}${lineEnd}${lineEnd}`;

const delta = (index: number, part: object) => ({ type: 'content_block_delta', index, delta: part });
const begin = (index: number, block: object) => ({ type: 'content_block_start', index, content_block: block });
const stop = (index: number) => ({ type: 'content_block_stop', index });

/** The events of an answer that thinks, speaks and calls a tool; 100 tokens read, 40 from the cache, 10 to it; 25 written. */
export const ANTHROPIC_ANSWER = [
  {
    type: 'message_start',
    message: {
      ...{ id: 'msg_1', type: 'message', role: 'assistant', model: 'claude', content: [], stop_reason: null },
      usage: { input_tokens: 50, cache_read_input_tokens: 40, cache_creation_input_tokens: 10, output_tokens: 1 },
    },
  },
  begin(0, { type: 'thinking', thinking: '', signature: '' }),
  { type: 'ping' },
  delta(0, { type: 'thinking_delta', thinking: 'Let me see \u{1f914}' }),
  delta(0, { type: 'signature_delta', signature: 'c2lnbmF0dXJl'.repeat(20) }),
  stop(0),
  begin(1, { type: 'text', text: '' }),
  delta(1, { type: 'text_delta', text: 'Gr\u00fc\u00df ' }),
  delta(1, { type: 'text_delta', text: 'Gott' }),
  stop(1),
  begin(2, { type: 'tool_use', id: 'toolu_1', name: 'exec', input: {} }),
  delta(2, { type: 'input_json_delta', partial_json: '{"command":' }),
  delta(2, { type: 'input_json_delta', partial_json: '"ls"}' }),
  stop(2),
  { type: 'message_delta', delta: { stop_reason: 'tool_use', stop_sequence: null }, usage: { output_tokens: 25 } },
  { type: 'message_stop' },
];

/** A plain answer of Anthropic's messages as a stream: 7 tokens read, 3 written. */
export function anthropicStream(text: string, stopReason = 'end_turn'): string {
  return [
    {
      type: 'message_start',
      message: { id: 'msg_1', role: 'assistant', content: [], usage: { input_tokens: 7, output_tokens: 1 } },
    },
    begin(0, { type: 'text', text: '' }),
    delta(0, { type: 'text_delta', text }),
    stop(0),
    { type: 'message_delta', delta: { stop_reason: stopReason }, usage: { output_tokens: 3 } },
    { type: 'message_stop' },
  ]
    .map((data) => anthropicEvent(data))
    .join('');
}
