import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { ServerResponse } from 'node:http';
import { ANTHROPIC_ANSWER, anthropicEvent } from '../../support/anthropic-events.ts';
import { awsChunk, awsEvent, awsException } from '../../support/aws-frames.ts';
import { eventually } from '../../support/eventually.ts';
import { offeredModel } from '../../support/offered-model.ts';
import { openTestOrm } from '../../support/test-database.ts';
import type { TestOrm } from '../../support/test-database.ts';
import { addAgent, ask, callsOf, MODEL, openCallsOf, readerOf, readUntil, startRelay } from '../relay-under-test.ts';
import type { RelayUnderTest, TestAgent } from '../relay-under-test.ts';
import { drop, refuseWith, startWireServer } from '../wire-server.ts';
import type { WireServer } from '../wire-server.ts';

const CLAUDE = 'us.anthropic.claude-sonnet-4-20250514-v1:0';
const KIMI = 'moonshotai.kimi-k2.5';
const FRAMES = 'application/vnd.amazon.eventstream';
const SECRET = 'wJalrXUtnFEMI-test-secret';

let database: TestOrm;
let provider: WireServer;
let agent: TestAgent;
const before = { ...process.env };

beforeAll(async () => {
  Object.assign(process.env, { AWS_ACCESS_KEY_ID: 'AKIATEST', AWS_SECRET_ACCESS_KEY: SECRET, AWS_EC2_METADATA_DISABLED: 'true' });
  database = await openTestOrm();
  provider = await startWireServer();
});

afterAll(async () => {
  process.env = before;
  await provider.close();
  await database.close();
});

beforeEach(async () => {
  agent = await addAgent(database.orm);
});

/** The relay with one model of Bedrock. */
function startBedrock(upstream: string, key?: string): Promise<RelayUnderTest> {
  return startRelay(database.url, undefined, {
    providers: { aws: { kind: 'bedrock', region: 'us-east-1', url: provider.url, ...(key === undefined ? {} : { key }) } },
    models: { [MODEL]: offeredModel({ upstream, provider: 'aws', maxTokens: 4_096 }) },
  });
}

const frames =
  (...parts: Buffer[]) =>
  (response: ServerResponse) =>
    drop(response, FRAMES, Buffer.concat(parts));

describe('a model of Anthropic', () => {
  let relay: RelayUnderTest;
  beforeAll(async () => {
    relay = await startBedrock(CLAUDE);
  });
  afterAll(() => relay.close());

  const request = { max_tokens: 100, messages: [{ role: 'user', content: 'Hi' }], thinking: { type: 'adaptive' } };
  const askClaude = (fields: object = {}, signal?: AbortSignal) =>
    fetch(`${relay.url}/messages`, {
      method: 'POST',
      headers: { 'x-api-key': agent.token },
      body: JSON.stringify({ model: MODEL, stream: true, ...request, ...fields }),
      ...(signal ? { signal } : {}),
    });

  test('gets the same body as at Anthropic, signed, and its events are those of Anthropic, wherever frames are cut', async () => {
    const metrics = { 'amazon-bedrock-invocationMetrics': { inputTokenCount: 100 } };
    const events = ANTHROPIC_ANSWER.map((data) => awsChunk(data.type === 'message_stop' ? { ...data, ...metrics } : data));
    provider.play(frames(...events));
    const response = await askClaude();
    expect(response.headers.get('content-type')).toContain('text/event-stream');
    expect(await response.text()).toBe(ANTHROPIC_ANSWER.map((data) => anthropicEvent(data)).join(''));
    const { path, headers, body } = provider.received.at(-1)!;
    expect(decodeURIComponent(path)).toBe(`/model/${CLAUDE}/invoke-with-response-stream`);
    expect(headers.authorization).toMatch(/^AWS4-HMAC-SHA256 Credential=AKIATEST\/\d{8}\/us-east-1\/bedrock\/aws4_request/);
    expect(body).toEqual({ anthropic_version: 'bedrock-2023-05-31', ...request });
    expect(JSON.stringify(provider.received)).not.toContain(SECRET);
    expect(await callsOf(database.orm, agent)).toMatchObject([
      { input_tokens: 100, cache_read_tokens: 40, cache_write_tokens: 10, output_tokens: 25, finish_reason: 'tool_calls' },
    ]);
  });

  test('gives one object when no stream was asked for', async () => {
    const message = { type: 'message', content: [], stop_reason: 'end_turn', usage: { input_tokens: 4, output_tokens: 2 } };
    provider.play(
      (response) => void response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(message)),
    );
    expect(await (await askClaude({ stream: false })).json()).toEqual(message);
    expect(decodeURIComponent(provider.received.at(-1)!.path)).toBe(`/model/${CLAUDE}/invoke`);
    expect(await callsOf(database.orm, agent)).toMatchObject([{ input_tokens: 4, output_tokens: 2 }]);
  });

  test('is cut where an error comes in the middle of its stream, or where a frame is damaged, and counts what came', async () => {
    const begun = ANTHROPIC_ANSWER.slice(0, 9).map((data) => awsChunk(data));
    const damaged = awsChunk({ type: 'ping' });
    damaged[damaged.length - 6]! ^= 0xff;
    for (const end of [awsException('modelStreamErrorException', 'It broke'), damaged]) {
      provider.play(frames(...begun, end));
      await expect(askClaude().then((response) => response.text())).rejects.toThrow();
    }
    const counted = { input_tokens: 100, output_tokens: 9, finish_reason: null };
    await eventually(async () => expect(await callsOf(database.orm, agent)).toMatchObject([counted, counted]));
  });

  test('ends at Bedrock when its caller leaves', async () => {
    let left = false;
    provider.play((response) => {
      response.once('close', () => (left = true));
      response.writeHead(200, { 'content-type': FRAMES });
      response.write(Buffer.concat(ANTHROPIC_ANSWER.slice(0, 9).map((data) => awsChunk(data))));
    });
    const leave = new AbortController();
    await readUntil(readerOf(await askClaude({}, leave.signal)), 'Gott');
    leave.abort();
    await eventually(() => expect(left).toBe(true));
    await eventually(async () => expect(await callsOf(database.orm, agent)).toMatchObject([{ input_tokens: 100 }]));
  });

  test.each([
    [
      'a request at fault, with its words',
      400,
      'ValidationException',
      'Input is too long for requested model.',
      'Input is too long',
    ],
    [
      'an id that needs an inference profile',
      400,
      'ValidationException',
      'on-demand throughput isn\u2019t supported',
      'Only the operator',
    ],
    ['missing rights', 403, 'AccessDeniedException', "You don't have access", 'Only the operator'],
    ['too many calls', 429, 'ThrottlingException', 'Too many requests, please wait', 'could not answer now'],
    ['a model that is not ready', 429, 'ModelNotReadyException', 'The model is not ready', 'could not answer now'],
    ['an error of the model', 424, 'ModelErrorException', 'The model failed', 'could not answer now'],
    ['an error of Bedrock', 500, 'InternalServerException', 'It broke', 'could not answer now'],
  ])('refuses with 400 for %s', async (_, status, name, message, said) => {
    provider.play(refuseWith(status, { message }, { 'x-amzn-errortype': name }));
    const response = await askClaude();
    expect([response.status, await response.json()]).toMatchObject([400, { error: { message: expect.stringContaining(said) } }]);
    expect(await callsOf(database.orm, agent)).toEqual([]);
    expect(await openCallsOf(database.orm, agent)).toEqual([]);
  });

  test('refuses with 400 where the stream begins with an error, so that another provider may be asked', async () => {
    provider.play(frames(awsException('throttlingException', 'Too many tokens')));
    const response = await askClaude();
    expect([response.status, await response.text()]).toEqual([400, expect.stringContaining('could not answer now')]);
    expect(await callsOf(database.orm, agent)).toEqual([]);
  });
});

describe('any other model', () => {
  let relay: RelayUnderTest;
  beforeAll(async () => {
    relay = await startBedrock(KIMI, 'a-bedrock-key');
  });
  afterAll(() => relay.close());

  const ANSWER = [
    awsEvent('messageStart', { role: 'assistant' }),
    awsEvent('contentBlockDelta', { contentBlockIndex: 0, delta: { reasoningContent: { text: 'Hm' } } }),
    awsEvent('contentBlockDelta', { contentBlockIndex: 1, delta: { text: 'Gr\u00fc\u00df ' } }),
    awsEvent('contentBlockDelta', { contentBlockIndex: 1, delta: { text: 'Gott' } }),
    awsEvent('contentBlockStop', { contentBlockIndex: 1 }),
    awsEvent('contentBlockStart', { contentBlockIndex: 2, start: { toolUse: { toolUseId: 'call_1', name: 'exec' } } }),
    awsEvent('contentBlockDelta', { contentBlockIndex: 2, delta: { toolUse: { input: '{"command":' } } }),
    awsEvent('contentBlockDelta', { contentBlockIndex: 2, delta: { toolUse: { input: '"ls"}' } } }),
    awsEvent('contentBlockStop', { contentBlockIndex: 2 }),
    awsEvent('messageStop', { stopReason: 'tool_use' }),
    awsEvent('metadata', {
      usage: { inputTokens: 50, outputTokens: 25, totalTokens: 75, cacheReadInputTokens: 40, cacheWriteInputTokens: 10 },
      metrics: { latencyMs: 1 },
    }),
  ];

  test('is called by Converse with all that was said, shown and done', async () => {
    provider.play(frames(...ANSWER));
    const call = { id: 'call_0', type: 'function', function: { name: 'exec', arguments: '{"command":"ls"}' } };
    const messages = [
      { role: 'system', content: 'Be kind.' },
      {
        role: 'user',
        content: [
          { type: 'text', text: 'Look' },
          { type: 'image_url', image_url: { url: 'data:image/png;base64,aGk=' } },
        ],
      },
      { role: 'assistant', content: '', tool_calls: [call, { ...call, id: 'call_1' }] },
      { role: 'tool', tool_call_id: 'call_0', content: 'a.txt' },
      { role: 'tool', tool_call_id: 'call_1', content: '' },
      { role: 'user', content: 'And?' },
    ];
    const parameters = { type: 'object', properties: { command: { type: 'string' } } };
    const tools = [{ type: 'function', function: { name: 'exec', description: 'Runs', parameters } }];
    const shape = { max_completion_tokens: 77, temperature: 0.5, stop: 'END', tool_choice: 'required' };
    const response = await ask(relay, { token: agent.token, fields: { messages, tools, ...shape } });
    await response.text();
    const { path, headers, body } = provider.received.at(-1)!;
    expect(decodeURIComponent(path)).toBe(`/model/${KIMI}/converse-stream`);
    expect(headers.authorization).toBe('Bearer a-bedrock-key');
    const use = (toolUseId: string) => ({ toolUse: { toolUseId, name: 'exec', input: { command: 'ls' } } });
    const result = (toolUseId: string, text: string) => ({ toolResult: { toolUseId, content: [{ text }] } });
    expect(body).toEqual({
      system: [{ text: 'Be kind.' }],
      messages: [
        { role: 'user', content: [{ text: 'Look' }, { image: { format: 'png', source: { bytes: 'aGk=' } } }] },
        { role: 'assistant', content: [use('call_0'), use('call_1')] },
        { role: 'user', content: [result('call_0', 'a.txt'), result('call_1', '(no output)'), { text: 'And?' }] },
      ],
      inferenceConfig: { maxTokens: 77, temperature: 0.5, stopSequences: ['END'] },
      toolConfig: {
        tools: [{ toolSpec: { name: 'exec', description: 'Runs', inputSchema: { json: parameters } } }],
        toolChoice: { any: {} },
      },
    });
  });

  test('is told of the tools that were used when the request names none, because Converse wants to know them', async () => {
    provider.play(frames(...ANSWER));
    const call = { id: 'call_0', type: 'function', function: { name: 'exec', arguments: '{}' } };
    const messages = [
      { role: 'user', content: 'Go' },
      { role: 'assistant', content: '', tool_calls: [call] },
      { role: 'tool', tool_call_id: 'call_0', content: 'done' },
    ];
    await (await ask(relay, { token: agent.token, fields: { messages } })).text();
    const inputSchema = { json: { type: 'object', properties: {} } };
    expect(provider.received.at(-1)!.body['toolConfig']).toEqual({ tools: [{ toolSpec: { name: 'exec', inputSchema } }] });
  });

  test('answers with chat completion chunks, and all of it is counted', async () => {
    provider.play(frames(...ANSWER));
    const text = await (await ask(relay, { token: agent.token })).text();
    expect(text.endsWith('data: [DONE]\n\n')).toBe(true);
    const chunks = [...text.matchAll(/^data: (\{.*\})$/gm)].map(([, json]) => JSON.parse(json!));
    const deltas = chunks.flatMap(({ choices }) => choices).map(({ delta }) => delta);
    expect(deltas.map(({ content = '' }) => content).join('')).toBe('Gr\u00fc\u00df Gott');
    expect(deltas.map(({ reasoning_content: thought = '' }) => thought).join('')).toBe('Hm');
    const calls = deltas.flatMap(({ tool_calls: made = [] }) => made);
    expect(calls[0]).toEqual({ index: 0, id: 'call_1', type: 'function', function: { name: 'exec', arguments: '' } });
    expect(calls.map(({ function: { arguments: part } }) => part).join('')).toBe('{"command":"ls"}');
    expect(chunks.at(-2)).toMatchObject({ object: 'chat.completion.chunk', choices: [{ finish_reason: 'tool_calls' }] });
    expect(chunks.at(-1)).toMatchObject({ choices: [], usage: { prompt_tokens: 100, completion_tokens: 25 } });
    expect(await callsOf(database.orm, agent)).toMatchObject([
      {
        ...{ input_tokens: 100, cache_read_tokens: 40, cache_write_tokens: 10, output_tokens: 25, finish_reason: 'tool_calls' },
        ...{ provider: 'aws', upstream: KIMI },
      },
    ]);
  });

  test('is cut where its events end without saying why, and another provider may be asked where there is none at all', async () => {
    provider.play(frames(...ANSWER.slice(0, 4)));
    await expect(ask(relay, { token: agent.token }).then((response) => response.text())).rejects.toThrow();
    await eventually(async () => expect(await callsOf(database.orm, agent)).toMatchObject([{ finish_reason: null }]));
    provider.play(frames());
    const response = await ask(relay, { token: agent.token });
    expect([response.status, await response.text()]).toEqual([400, expect.stringContaining('could not answer now')]);
    expect(await callsOf(database.orm, agent)).toHaveLength(1);
  });

  test('answers with one object when no stream was asked for', async () => {
    provider.play(frames(...ANSWER));
    const answer = await (await ask(relay, { token: agent.token, fields: { stream: false } })).json();
    expect(answer).toMatchObject({
      object: 'chat.completion',
      choices: [
        {
          message: {
            content: 'Gr\u00fc\u00df Gott',
            tool_calls: [{ id: 'call_1', function: { arguments: '{"command":"ls"}' } }],
          },
          finish_reason: 'tool_calls',
        },
      ],
    });
    expect(await callsOf(database.orm, agent)).toMatchObject([{ input_tokens: 100, output_tokens: 25 }]);
  });

  test('refuses an image that Bedrock would have to fetch: 400, and nothing is sent or kept', async () => {
    const count = provider.received.length;
    const content = [{ type: 'image_url', image_url: { url: 'http://169.254.169.254/x.png' } }];
    const response = await ask(relay, { token: agent.token, fields: { messages: [{ role: 'user', content }] } });
    expect([response.status, await response.text()]).toEqual([400, expect.stringContaining('data: URLs')]);
    expect(provider.received).toHaveLength(count);
    expect(await openCallsOf(database.orm, agent)).toEqual([]);
  });
});

test('an openai provider with auth "aws" gets calls signed for Bedrock', async () => {
  const url = `${provider.url}/openai/v1`;
  const relay = await startRelay(database.url, undefined, {
    providers: { default: { kind: 'openai', url, auth: 'aws', region: 'eu-west-1', headers: { 'openai-project': 'p1' } } },
  });
  provider.play((response) => void response.writeHead(200, { 'content-type': 'application/json' }).end('{"choices":[]}'));
  expect((await ask(relay, { token: agent.token })).status).toBe(200);
  const { path, headers } = provider.received.at(-1)!;
  expect(path).toBe('/openai/v1/chat/completions');
  expect(headers['openai-project']).toBe('p1');
  expect(headers.authorization).toMatch(/^AWS4-HMAC-SHA256 Credential=AKIATEST\/\d{8}\/eu-west-1\/bedrock\/aws4_request/);
  await relay.close();
});
