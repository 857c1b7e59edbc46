import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { ANTHROPIC_ANSWER, anthropicEvent, anthropicStream } from '../../support/anthropic-events.ts';
import { eventually } from '../../support/eventually.ts';
import { offeredModel } from '../../support/offered-model.ts';
import { openTestOrm } from '../../support/test-database.ts';
import type { TestOrm } from '../../support/test-database.ts';
import { addAgent, callsOf, MODEL, openCallsOf, readerOf, readUntil, startRelay } from '../relay-under-test.ts';
import type { RelayUnderTest, TestAgent } from '../relay-under-test.ts';
import { drop, refuseWith, startWireServer } from '../wire-server.ts';
import type { WireServer } from '../wire-server.ts';

const UPSTREAM = 'claude-of-the-provider';

let database: TestOrm;
let provider: WireServer;
let directory: string;
let keyFile: string;
let relay: RelayUnderTest;
let agent: TestAgent;

beforeAll(async () => {
  database = await openTestOrm();
  provider = await startWireServer();
  directory = await mkdtemp(join(tmpdir(), 'provider-'));
  keyFile = join(directory, 'key');
  await writeFile(keyFile, 'first-key\n');
  relay = await startRelay(database.url, undefined, {
    providers: { claude: { kind: 'anthropic', url: provider.url, keyFile, headers: { 'anthropic-beta': 'a-beta' } } },
    models: { [MODEL]: offeredModel({ upstream: UPSTREAM, provider: 'claude', maxTokens: 4_096 }) },
  });
});

afterAll(async () => {
  await relay.close();
  await provider.close();
  await database.close();
  await rm(directory, { recursive: true });
});

beforeEach(async () => {
  agent = await addAgent(database.orm);
});

const image = { type: 'image', source: { type: 'base64', media_type: 'image/png', data: 'iVBORw0KGgo=' } };
const mark = { cache_control: { type: 'ephemeral' } };
const REQUEST = {
  model: MODEL,
  stream: true,
  max_tokens: 4_096,
  system: [{ type: 'text', text: 'Be kind.', ...mark }],
  messages: [
    {
      role: 'user',
      content: [
        { type: 'text', text: 'What is this?' },
        { ...image, ...mark },
      ],
    },
    {
      role: 'assistant',
      content: [
        { type: 'thinking', thinking: 'Hm', signature: 'c2ln' },
        { type: 'redacted_thinking', data: 'eA==' },
        { type: 'tool_use', id: 'toolu_0', name: 'exec', input: { command: 'file x' } },
      ],
    },
    { role: 'user', content: [{ type: 'tool_result', tool_use_id: 'toolu_0', is_error: false, content: [image] }] },
  ],
  tools: [{ name: 'exec', description: 'Runs', input_schema: { type: 'object', properties: {} }, ...mark }],
  tool_choice: { type: 'auto', disable_parallel_tool_use: true },
  thinking: { type: 'enabled', budget_tokens: 2_048 },
};

function askClaude(fields: object = {}, headers: Record<string, string> = { 'x-api-key': agent.token }): Promise<Response> {
  const body = JSON.stringify({ ...REQUEST, ...fields });
  return fetch(`${relay.url}/messages`, { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body });
}

const answerWith = (text: string) =>
  provider.play((response) => void response.writeHead(200, { 'content-type': 'text/event-stream' }).end(text));

describe('what the provider sees', () => {
  test('the whole call as it was made, with its own name of the model and its own key', async () => {
    answerWith(anthropicStream('Hello'));
    await (await askClaude()).text();
    const { path, headers, body } = provider.received.at(-1)!;
    expect(path).toBe('/v1/messages');
    expect(headers).toMatchObject({ 'x-api-key': 'first-key', 'anthropic-version': '2023-06-01', 'anthropic-beta': 'a-beta' });
    expect(body).toEqual({ ...REQUEST, model: UPSTREAM });
    expect(JSON.stringify(headers)).not.toContain(agent.token);
  });

  test('a key that was exchanged, without a restart, and the last one while its file is empty', async () => {
    answerWith(anthropicStream('Hello'));
    await writeFile(join(directory, 'next'), 'second-key');
    await rename(join(directory, 'next'), keyFile);
    const used = async (): Promise<unknown> => {
      await (await askClaude()).text();
      return provider.received.at(-1)!.headers['x-api-key'];
    };
    await eventually(async () => expect(await used()).toBe('second-key'));
    await writeFile(keyFile, '');
    expect(await used()).toBe('second-key');
    await writeFile(keyFile, 'first-key');
    await eventually(async () => expect(await used()).toBe('first-key'));
  });
});

describe('what the caller gets', () => {
  test.each([
    ['LF', '\n'],
    ['CRLF', '\r\n'],
  ])('the same bytes, cut anywhere, with comments and pings, lines ending with %s; all of it is counted', async (_, lineEnd) => {
    const bytes = Buffer.from(
      `: hello${lineEnd}${lineEnd}${ANTHROPIC_ANSWER.map((data) => anthropicEvent(data, lineEnd)).join('')}`,
    );
    provider.play((response) => drop(response, 'text/event-stream; charset=utf-8', bytes));
    const response = await askClaude({}, { authorization: `Bearer ${agent.token}` });
    expect(Buffer.from(await response.arrayBuffer()).equals(bytes)).toBe(true);
    expect(await callsOf(database.orm, agent)).toMatchObject([
      {
        ...{ input_tokens: 100, cache_read_tokens: 40, cache_write_tokens: 10, output_tokens: 25, thinking_tokens: 5 },
        ...{ finish_reason: 'tool_calls', provider: 'claude', upstream: UPSTREAM },
      },
    ]);
  });

  test('message_stop when the call is counted, and all before it already', async () => {
    const whole = anthropicStream('Hello');
    const at = whole.indexOf('event: message_stop');
    let finish = (): void => {};
    provider.play((response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' }).write(whole.slice(0, at));
      finish = () => void response.end(whole.slice(at));
    });
    const reader = readerOf(await askClaude());
    expect(await readUntil(reader, 'message_delta')).toContain('Hello');
    expect(await callsOf(database.orm, agent)).toEqual([]);
    finish();
    await readUntil(reader, 'message_stop');
    expect(await callsOf(database.orm, agent)).toMatchObject([{ input_tokens: 7, output_tokens: 3, finish_reason: 'stop' }]);
  });

  test('one object when no stream was asked for', async () => {
    const usage = { input_tokens: 5, cache_read_input_tokens: 2, output_tokens: 4 };
    const message = { id: 'msg_1', type: 'message', content: [{ type: 'text', text: 'Hi' }], stop_reason: 'max_tokens', usage };
    provider.play(
      (response) => void response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(message)),
    );
    expect(await (await askClaude({ stream: false })).json()).toEqual(message);
    const counted = { input_tokens: 7, cache_read_tokens: 2, output_tokens: 4, finish_reason: 'length' };
    expect(await callsOf(database.orm, agent)).toMatchObject([counted]);
  });

  test('a stream that is cut where the provider cuts it: what was read counts as reported, what was written as it came', async () => {
    provider.play((response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write(
        ANTHROPIC_ANSWER.slice(0, 9)
          .map((data) => anthropicEvent(data))
          .join(''),
        () => response.destroy(),
      );
    });
    await expect(askClaude().then((response) => response.text())).rejects.toThrow();
    await eventually(async () => {
      expect(await callsOf(database.orm, agent)).toMatchObject([
        { input_tokens: 100, cache_read_tokens: 40, output_tokens: 9, thinking_tokens: 5, finish_reason: null },
      ]);
    });
  });
});

describe('errors come in the form of the wire', () => {
  const error = (type: string, message: string) => ({ type: 'error', error: { type, message } });

  test.each([
    [400, 'prompt is too long: 210000 tokens > 200000 maximum'],
    [413, 'Request exceeds the maximum size'],
  ])('%s with the words of a provider that finds fault with the request', async (status, message) => {
    provider.play(refuseWith(status, error('invalid_request_error', message)));
    const response = await askClaude();
    expect([response.status, await response.json()]).toMatchObject([status, { type: 'error', error: { message } }]);
    expect(await openCallsOf(database.orm, agent)).toEqual([]);
  });

  test.each([
    [401, 'authentication_error', 'invalid x-api-key'],
    [400, 'invalid_request_error', 'Your credit balance is too low to access the Anthropic API.'],
    [404, 'not_found_error', 'model: claude-of-the-provider'],
  ])('none of the words of a %s that is about our own account or settings: %s: %s', async (status, type, message) => {
    provider.play(refuseWith(status, error(type, message)));
    const response = await askClaude();
    expect([response.status, await response.text()]).toEqual([status === 404 ? 404 : 400, expect.not.stringContaining(message)]);
  });

  test('what a content filter kept back is recorded as such', async () => {
    provider.play(refuseWith(400, error('invalid_request_error', 'Output blocked by content filtering policy')));
    expect((await askClaude()).status).toBe(400);
    answerWith(anthropicStream('No', 'refusal'));
    await (await askClaude()).text();
    const filtered = { finish_reason: 'content_filter' };
    expect(await callsOf(database.orm, agent)).toMatchObject([
      { ...filtered, input_tokens: 0 },
      { ...filtered, input_tokens: 7 },
    ]);
  });

  test('400 for an overloaded provider, whether it says so by its status or in the first event of its stream', async () => {
    const overloaded = error('overloaded_error', 'Overloaded');
    for (const play of [refuseWith(529, overloaded), streamOf(anthropicEvent(overloaded))]) {
      provider.play(play);
      const response = await askClaude();
      expect([response.status, await response.json()]).toMatchObject([
        400,
        { type: 'error', error: { type: 'invalid_request_error', message: expect.stringContaining('could not answer now') } },
      ]);
    }
    expect(await callsOf(database.orm, agent)).toEqual([]);
  });

  test('401 for an invalid token, 400 for a call on the other wire, and for an invalid body', async () => {
    const wrong = await askClaude({}, { 'x-api-key': 'nonsense' });
    expect([wrong.status, await wrong.json()]).toMatchObject([401, { type: 'error', error: { type: 'authentication_error' } }]);
    const headers = { authorization: `Bearer ${agent.token}` };
    const body = JSON.stringify({ model: MODEL, messages: [] });
    const other = await fetch(`${relay.url}/chat/completions`, { method: 'POST', headers, body });
    expect([other.status, await other.text()]).toEqual([400, expect.stringContaining('called by anthropic-messages')]);
    const none = await askClaude({ messages: 'none' });
    expect([none.status, await none.text()]).toEqual([400, expect.stringContaining('request of the Messages API')]);
  });
});

function streamOf(text: string): Parameters<WireServer['play']>[0] {
  return (response) => void response.writeHead(200, { 'content-type': 'text/event-stream' }).end(text);
}
