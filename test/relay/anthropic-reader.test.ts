import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { tapEventStream, tapJson } from '../../relay/usage-tap.ts';
import type { Usage } from '../../relay/usage-tap.ts';
import { createAnthropicReader } from '../../relay/wires/anthropic-reader.ts';
import { ANTHROPIC_ANSWER, anthropicEvent } from '../support/anthropic-events.ts';

interface Seen {
  bytes: Buffer;
  /** What was recorded, and how many bytes had left by then. */
  records: { usage: Usage | null; finishReason: string | null; came: number; after: number }[];
}

async function through(chunks: Iterable<Uint8Array>, tap = tapEventStream): Promise<Seen> {
  const parts: Uint8Array[] = [];
  const records: Seen['records'] = [];
  const source = (async function* () {
    yield* chunks;
  })();
  const record = async (usage: Usage | null, finishReason: string | null, came: number): Promise<void> => {
    records.push({ usage, finishReason, came, after: Buffer.concat(parts).length });
  };
  for await (const chunk of tap(source, createAnthropicReader(), record)) parts.push(chunk);
  return { bytes: Buffer.concat(parts), records };
}

const WHOLE = { inputTokens: 100, outputTokens: 25, cacheReadTokens: 40, cacheWriteTokens: 10, thinkingTokens: 5 };

test.each([
  ['LF', '\n'],
  ['CR', '\r'],
  ['CRLF', '\r\n'],
])(
  'a stream whose lines end with %s has the same bytes and usage wherever it is cut, and is recorded before its end is whole',
  async (_, end) => {
    const text = ANTHROPIC_ANSWER.map((data) => anthropicEvent(data, end)).join(`: comment${end}${end}`);
    const stream = Buffer.from(text);
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(stream.length), { maxLength: 12 }), async (positions) => {
        const at = [0, ...positions.toSorted((a, b) => a - b), stream.length];
        const { bytes, records } = await through(at.slice(1).map((to, index) => stream.subarray(at[index], to)));
        expect(bytes.equals(stream)).toBe(true);
        expect(records).toMatchObject([{ usage: WHOLE, finishReason: 'tool_calls' }]);
        expect(records[0]?.after).toBeLessThan(Buffer.byteLength(text.slice(0, text.lastIndexOf('"message_stop"'))));
      }),
    );
  },
);

const start = (usage: object) => anthropicEvent({ type: 'message_start', message: { usage } });
const last = (usage: object, reason: unknown = 'end_turn') =>
  anthropicEvent({ type: 'message_delta', delta: { stop_reason: reason }, usage });

test.each([
  ['counts that the last event repeats', start({ input_tokens: 5 }) + last({ input_tokens: 6, output_tokens: 7 }), [6, 7]],
  ['no count of what was read', start({}) + last({ output_tokens: 7 }), null],
  ['counts below nothing', start({ input_tokens: -1 }) + last({ output_tokens: 7 }), null],
  ['counts that are no numbers', start({ input_tokens: 5 }) + last({ output_tokens: '7' }), null],
  [
    'a sum beyond all numbers',
    start({ input_tokens: 2 ** 31 - 1, cache_read_input_tokens: 9 }) + last({ output_tokens: 1 }),
    null,
  ],
  ['no event that is known', 'event: x\ndata: {"type":"x"}\n\ndata: [DONE]\n\ndata: {\n\n', null],
])('%s', async (_, stream, counted) => {
  const { records } = await through([Buffer.from(stream)]);
  const wanted = counted && { inputTokens: counted[0], outputTokens: counted[1] };
  expect(records).toMatchObject([{ usage: wanted }]);
});

test.each([
  ['end_turn', 'stop'],
  ['stop_sequence', 'stop'],
  ['max_tokens', 'length'],
  ['model_context_window_exceeded', 'length'],
  ['tool_use', 'tool_calls'],
  ['refusal', 'content_filter'],
  ['pause_turn', 'pause_turn'],
  [null, null],
])('the reason %s is recorded as %s', async (said, recorded) => {
  const { records } = await through([Buffer.from(start({ input_tokens: 1 }) + last({ output_tokens: 1 }, said))]);
  expect(records).toMatchObject([{ finishReason: recorded }]);
});

test('thoughts that the provider counts are not estimated, of a stream and of one object', async () => {
  const usage = { output_tokens: 9, output_tokens_details: { thinking_tokens: 4 } };
  expect((await through([Buffer.from(start({ input_tokens: 1 }) + last(usage))])).records).toMatchObject([
    { usage: { thinkingTokens: 4 } },
  ]);
  const object = {
    usage: { input_tokens: 1, ...usage },
    stop_reason: 'end_turn',
    content: [{ type: 'thinking', thinking: 'x' }],
  };
  const { records } = await through([Buffer.from(JSON.stringify(object))], tapJson);
  expect(records).toMatchObject([
    { usage: { inputTokens: 1, outputTokens: 9, thinkingTokens: 4 }, finishReason: 'stop', after: 0 },
  ]);
});
