import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { tapEventStream as tapAnyStream, tapJson as tapAnyJson } from '../../relay/usage-tap.ts';
import type { RecordUsage, Usage } from '../../relay/usage-tap.ts';
import { createOpenAiReader } from '../../relay/wires/openai-reader.ts';

type Source = AsyncIterable<Uint8Array>;
const tapEventStream = (source: Source, record: RecordUsage) => tapAnyStream(source, createOpenAiReader(), record);
const tapJson = (source: Source, record: RecordUsage) => tapAnyJson(source, createOpenAiReader(), record);

interface Seen {
  bytes: Buffer;
  /** What was recorded, and how many bytes had left by then. */
  records: { usage: Usage | null; after: number }[];
}

async function through(tap: typeof tapEventStream, chunks: Iterable<Uint8Array>): Promise<Seen> {
  const parts: Uint8Array[] = [];
  const records: Seen['records'] = [];
  const source = (async function* () {
    yield* chunks;
  })();
  const record = async (usage: Usage | null): Promise<void> => {
    records.push({ usage, after: Buffer.concat(parts).length });
  };
  for await (const chunk of tap(source, record)) parts.push(chunk);
  return { bytes: Buffer.concat(parts), records };
}

const usageOf = (prompt: unknown, completion: number): string =>
  `data: {"choices":[],"usage":{"prompt_tokens":${prompt},"completion_tokens":${completion}}}\n\n`;
const word = 'data: {"choices":[{"delta":{"content":"\u00fcber"}}],"usage":null}\n\n';
const done = 'data: [DONE]\n\n';

describe.each([
  ['LF', '\n'],
  ['CR', '\r'],
  ['CRLF', '\r\n'],
])('a stream whose lines end with %s', (_name, lineEnd) => {
  const withEnds = (text: string): string => text.replaceAll('\n', lineEnd);

  test('has the same bytes and usage wherever it is cut, and is recorded once, before [DONE] is whole', async () => {
    const stream = Buffer.from(withEnds(`${word}${usageOf(1, 1)}: ping\n\n${word}${usageOf(12, 34)}${done}`));
    const cuts = fc.array(fc.nat(stream.length), { maxLength: 12 });
    await fc.assert(
      fc.asyncProperty(cuts, async (positions) => {
        const at = [0, ...positions.toSorted((a, b) => a - b), stream.length];
        const chunks = at.slice(1).map((end, index) => stream.subarray(at[index], end));
        const { bytes, records } = await through(tapEventStream, chunks);
        expect(bytes.equals(stream)).toBe(true);
        expect(records).toMatchObject([{ usage: { inputTokens: 12, outputTokens: 34 } }]);
        expect(records[0]?.after).toBeLessThanOrEqual(stream.indexOf(lineEnd, stream.indexOf('[DONE]')));
      }),
    );
  });

  test('counts when it comes byte by byte, and when its first line has a byte order mark', async () => {
    const stream = Buffer.from(`\uFEFF${withEnds(usageOf(3, 4) + done)}`);
    for (const chunks of [[stream], [...stream.keys()].map((at) => stream.subarray(at, at + 1))]) {
      const { bytes, records } = await through(tapEventStream, chunks);
      expect(bytes.equals(stream)).toBe(true);
      expect(records).toMatchObject([{ usage: { inputTokens: 3, outputTokens: 4 } }]);
    }
  });

  test('is ended soon after its [DONE], also when nothing follows the end of that line', async () => {
    const source = (async function* () {
      yield Buffer.from(withEnds(usageOf(1, 2)));
      yield Buffer.from(`data: [DONE]${lineEnd}`);
      await new Promise(() => {});
    })();
    const records: (Usage | null)[] = [];
    const parts: Uint8Array[] = [];
    for await (const chunk of tapEventStream(source, async (usage) => void records.push(usage))) parts.push(chunk);
    expect(records).toMatchObject([{ inputTokens: 1, outputTokens: 2 }]);
    expect(Buffer.concat(parts).toString()).toBe(`${withEnds(usageOf(1, 2))}data: [DONE]${lineEnd}`);
  });
});

test('the kinds of line ends may be mixed in one stream', async () => {
  const ends = fc.array(fc.constantFrom('\n', '\r', '\r\n'), { minLength: 10, maxLength: 10 });
  await fc.assert(
    fc.asyncProperty(ends, async (all) => {
      const rest = [...all];
      const stream = Buffer.from((word + usageOf(5, 6) + word + usageOf(7, 8) + done).replaceAll('\n', () => rest.pop() ?? '\n'));
      const { bytes, records } = await through(tapEventStream, [stream]);
      expect(bytes.equals(stream)).toBe(true);
      expect(records).toMatchObject([{ usage: { inputTokens: 7, outputTokens: 8 } }]);
    }),
  );
});

test('all that comes before [DONE] in the same chunk has left when the usage is recorded', async () => {
  const before = word + usageOf(1, 2);
  const { records } = await through(tapEventStream, [Buffer.from(before + done)]);
  expect(records).toMatchObject([{ usage: { inputTokens: 1, outputTokens: 2 }, after: Buffer.byteLength(before) }]);
});

test.each([
  ['a stream without usage', word + done],
  ['a stream without an end', word],
  ['an invalid usage', usageOf('"many"', 1) + done],
  ['an answer in which usage is only a word', 'data: {"choices":[{"delta":{"content":"\\"usage\\": {}"}}]}\n\n' + done],
])('%s is recorded once, with nothing known', async (_, text) => {
  expect((await through(tapEventStream, [Buffer.from(text)])).records).toMatchObject([{ usage: null }]);
});

test('a usage that ends the stream without a line end counts', async () => {
  const { records } = await through(tapEventStream, [Buffer.from(usageOf(5, 6).trimEnd())]);
  expect(records).toMatchObject([{ usage: { inputTokens: 5, outputTokens: 6 } }]);
});

test('a line without an end is passed on and not kept', async () => {
  const chunk = Buffer.alloc(1024 ** 2, 'x');
  const { bytes, records } = await through(tapEventStream, [chunk, chunk, chunk, Buffer.from(`\n${usageOf(1, 2)}`)]);
  expect(bytes.length).toBeGreaterThan(3 * chunk.length);
  expect(records).toMatchObject([{ usage: { inputTokens: 1, outputTokens: 2 } }]);
});

test('a usage in a long line that comes byte by byte counts, and so does the next one', async () => {
  const long = usageOf(3, 4).replace('"choices":[]', `"choices":[],"padding":"${'x'.repeat(200 * 1024)}"`);
  const bytes = Buffer.from(long + usageOf(5, 6) + done);
  const { records } = await through(
    tapEventStream,
    [...bytes.keys()].map((at) => bytes.subarray(at, at + 1)),
  );
  expect(records).toMatchObject([{ usage: { inputTokens: 5, outputTokens: 6 } }]);
  const { records: ofLong } = await through(tapEventStream, [Buffer.from(long.trimEnd())]);
  expect(ofLong).toMatchObject([{ usage: { inputTokens: 3, outputTokens: 4 } }]);
});

test('a stream that does not end after its [DONE] is ended', async () => {
  const source = (async function* () {
    yield Buffer.from(word + usageOf(1, 2) + done);
    await new Promise(() => {});
  })();
  const parts: Uint8Array[] = [];
  for await (const chunk of tapEventStream(source, async () => {})) parts.push(chunk);
  expect(Buffer.concat(parts).toString()).toBe(word + usageOf(1, 2) + done);
});

/** What is counted of the tokens that came, at the end of this answer. */
async function tokensOf(tap: typeof tapEventStream, text: string): Promise<number> {
  let counted = Number.NaN;
  const source = (async function* () {
    yield Buffer.from(text);
  })();
  for await (const _ of tap(source, async (_usage, _reason, tokens) => void (counted = tokens)));
  return counted;
}

test('what came of an answer is counted without the words of the provider: text, thoughts and calls of tools', async () => {
  const delta = (fields: object) => `data: ${JSON.stringify({ id: 'x'.repeat(99), choices: [{ index: 0, delta: fields }] })}\n\n`;
  expect(await tokensOf(tapEventStream, delta({ content: 'a'.repeat(30) }) + delta({ content: '\u00fc'.repeat(15) }))).toBe(20);
  expect(await tokensOf(tapEventStream, delta({ role: 'assistant', reasoning_content: 'a'.repeat(30) }))).toBe(10);
  const call = { index: 0, id: 'call_1', type: 'function', function: { name: 'exec', arguments: 'a'.repeat(26) } };
  expect(await tokensOf(tapEventStream, delta({ tool_calls: [call] }))).toBe(10);
  expect(await tokensOf(tapEventStream, 'data: {"delta"\n\ndata: {"delta":[]}\n\n: "delta"\n\n')).toBe(0);
  expect(await tokensOf(tapJson, 'a'.repeat(31))).toBe(11);
});

test('one that stops reading leaves a record too', async () => {
  const records: (Usage | null)[] = [];
  const source = (async function* () {
    yield Buffer.from(usageOf(3, 4));
    yield Buffer.from(word);
  })();
  for await (const _ of tapEventStream(source, async (usage) => void records.push(usage))) break;
  expect(records).toMatchObject([{ inputTokens: 3, outputTokens: 4 }]);
});

test.each([
  ['', ''],
  [' with a byte order mark', '\uFEFF'],
])('one object%s leaves after its usage is recorded', async (_, mark) => {
  const parts = [mark, '{"usage":{"prompt_tok', 'ens":7,"completion_tokens":8}}'].map((text) => Buffer.from(text));
  const { bytes, records } = await through(tapJson, parts);
  expect(bytes.equals(Buffer.concat(parts))).toBe(true);
  expect(records).toMatchObject([{ usage: { inputTokens: 7, outputTokens: 8 }, after: 0 }]);
});

test.each([
  ['length', 'data: {"choices":[{"delta":{},"finish_reason":"length"}]}\n\n' + usageOf(1, 2) + done],
  ['the last one', 'data: {"choices":[{"finish_reason": "stop"}]}\n\ndata: {"choices":[{"finish_reason":"content_filter"}]}'],
  ['none', 'data: {"choices":[{"delta":{"content":"\\"finish_reason\\":\\"length\\""},"finish_reason":null}]}\n\n' + done],
])('the reason why an answer ended is recorded: %s', async (what, stream) => {
  const reasons: (string | null)[] = [];
  const source = (async function* () {
    yield Buffer.from(stream);
  })();
  for await (const _ of tapEventStream(source, async (_usage, finishReason) => void reasons.push(finishReason)));
  expect(reasons).toEqual([{ length: 'length', 'the last one': 'content_filter' }[what] ?? null]);
});

test('the reason why one object ended is recorded', async () => {
  const reasons: (string | null)[] = [];
  const source = (async function* () {
    yield Buffer.from('{"choices":[{"message":{"content":"Hi"},"finish_reason":"length"}]}');
  })();
  for await (const _ of tapJson(source, async (_usage, finishReason) => void reasons.push(finishReason)));
  expect(reasons).toEqual(['length']);
});
