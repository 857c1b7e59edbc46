import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import Anthropic from '@anthropic-ai/sdk';
import EarlierAnthropic from 'anthropic-2026-05';
import { OpenAI } from 'openai';
import { OpenAI as EarlierOpenAI } from 'openai-2025-11';
import type { ApiClient } from '../support/api-client.ts';
import { eventually, TEST_LIMIT_MS } from '../support/eventually.ts';
import { newAgent } from '../support/patient-client.ts';
import { controlScripted } from '../support/scripted-gateway/scripted-control.ts';
import { ensureEarlierPython, ensureSdkPython } from '../support/sdk-python.ts';
import { startStack } from '../support/stack-under-test.ts';
import type { StackUnderTest } from '../support/stack-under-test.ts';
import { installScriptedOpenClaw } from '../support/stand-in-openclaw.ts';
import type { StandIn } from '../support/stand-in-openclaw.ts';

const run = promisify(execFile);
/** Enough for an API process that is killed and started again on a busy machine. */
const RETRIES = 40;

let openClaw: StandIn;
let stack: StackUnderTest;
let account: ApiClient;
let instanceId: string;
let agentId: string;
let apiKey: string;
let count = 0;

beforeAll(async () => {
  openClaw = await installScriptedOpenClaw();
  stack = await startStack({ openClaw });
  account = await stack.newAccount();
  ({ instanceId } = await account.ok('POST', '/instances', { name: 'versions' }));
  ({ agentId } = await newAgent(account, instanceId));
  ({ apiKey } = await account.ok('POST', '/auth/keys', { name: 'versions' }));
});
afterAll(async () => {
  await stack?.close();
  await openClaw?.remove();
});

// A test that fails may leave it dead.
beforeEach(async () => {
  if (!stack.runs('api')) await stack.start('api');
});

const howItEnds = (reading: Promise<void>): Promise<string> =>
  reading.then(
    () => 'read',
    () => 'lost',
  );
const once = (text: string) => `${text} ${(count += 1)}`;

/** The replies to what was said with this text, anywhere. */
async function repliesTo(text: string): Promise<string[]> {
  const { messages } = await account.ok('GET', `/instances/${instanceId}/agents/${agentId}/messages?limit=200`);
  const said = messages.filter(({ content }: { content: string }) => content === text);
  return said.map(({ messageId }: { messageId: string }) => {
    const reply = messages.find(({ requestMessageId }: { requestMessageId?: string }) => requestMessageId === messageId);
    return reply?.content;
  });
}

/** Kills the API while this is being answered and is received so far, and lets the gateway go on when the API is there again. */
async function killDuring(text: string, hold: string, isReceived: () => boolean = () => true): Promise<void> {
  await eventually(async () => expect([await repliesTo(text), isReceived()]).toEqual([[''], true]));
  await stack.kill('api');
  await stack.start('api');
  await release(hold);
}

/** Lets the gateway go on at this hold. */
async function release(name: string): Promise<void> {
  const [runtime] = await stack.driver.list();
  if (!runtime) throw new Error('No gateway was started');
  controlScripted(stack.driver.paths(runtime.runtimeId).stateDir).release(name);
}

type OpenaiClient = new (options: { apiKey: string; baseURL: string; maxRetries: number }) => OpenAI;
type AnthropicClient = new (options: { apiKey: string; baseURL: string; maxRetries: number }) => Anthropic;

describe.each([
  ['of today', OpenAI],
  // The calls of these tests are the same in both versions.
  ['of November 2025', EarlierOpenAI as unknown as OpenaiClient],
])("OpenAI's client %s", (version, Client: OpenaiClient) => {
  const client = (maxRetries = 0) => new Client({ apiKey, baseURL: `${stack.url}/openai/v1`, maxRetries });
  const user = (content: string) => ({ model: agentId, messages: [{ role: 'user' as const, content }] });

  test('gets a reply and a stream, and a stream that it aborts is answered all the same', async () => {
    const { choices } = await client().chat.completions.create(user(once('[[SAY Good morning]]')));
    expect(choices[0]?.message.content).toBe('Good morning');
    let streamed = '';
    for await (const chunk of await client().chat.completions.create({ ...user(once('[[SAY One two]]')), stream: true }))
      streamed += chunk.choices[0]?.delta.content ?? '';
    expect(streamed).toBe('One two');
    const text = once('[[SAY One two three]] [[DELAY 100]]');
    const aborted = new AbortController();
    const stream = await client().chat.completions.create({ ...user(text), stream: true }, { signal: aborted.signal });
    for await (const chunk of stream) if (chunk.choices[0]?.delta.content) aborted.abort();
    await eventually(async () => expect(await repliesTo(text)).toEqual(['One two three']));
  });

  test('that repeats a call because the API was killed gets the one reply', async () => {
    const hold = `openai-${version.replaceAll(' ', '-')}`;
    const text = once(`[[SAY Once]] [[HOLD ${hold}]]`);
    const [answer] = await Promise.all([client(RETRIES).chat.completions.create(user(text)), killDuring(text, hold)]);
    expect(answer.choices[0]?.message.content).toBe('Once');
    expect(await repliesTo(text)).toEqual(['Once']);
  });

  test('goes on with the stream of a response after the API was killed', async () => {
    const { responses } = client();
    const hold = `response-${version.replaceAll(' ', '-')}`;
    const text = once(`[[SAY One two three]] [[HOLD ${hold} 1]]`);
    const { id } = await responses.create({ model: agentId, input: text, background: true });
    let [received, after] = ['', -1];
    const read = async () => {
      for await (const event of await responses.retrieve(id, { stream: true, ...(after >= 0 && { starting_after: after }) })) {
        if (event.type === 'response.output_text.delta') received += event.delta;
        after = event.sequence_number;
      }
    };
    const [end] = await Promise.all([howItEnds(read()), killDuring(text, hold, () => received === 'One')]);
    expect([end, received]).toEqual(['lost', 'One']);
    await eventually(read);
    expect(received).toBe('One two three');
  });
});

describe.each([
  ['of today', Anthropic],
  // The calls of these tests are the same in both versions.
  ['of May 2026', EarlierAnthropic as unknown as AnthropicClient],
])("Anthropic's client %s", (version, Client: AnthropicClient) => {
  test('goes on with the stream of a session after the API was killed, and says nothing twice', async () => {
    const { beta } = new Client({ apiKey, baseURL: `${stack.url}/anthropic`, maxRetries: 0 });
    const agent = await beta.agents.create({ name: 'Helper', model: 'any' });
    const session = await beta.sessions.create({ agent: agent.id, environment_id: instanceId.replace('inst_', 'env_') });
    const { events } = beta.sessions;
    const types: string[] = [];
    let [after, reply] = ['', ''];
    const read = async () => {
      const headers = after === '' ? {} : { 'last-event-id': after };
      for await (const event of await events.stream(session.id, {}, { headers })) {
        types.push(event.type);
        if ('id' in event) after = event.id;
        if (event.type === 'agent.message') reply = event.content.map((block) => ('text' in block ? block.text : '')).join('');
        if (event.type === 'session.status_idle') return;
      }
      throw new Error('the stream has ended');
    };
    const hold = `session-${version.replaceAll(' ', '-')}`;
    const content = [{ type: 'text' as const, text: once(`[[SAY One two three]] [[HOLD ${hold} 1]]`) }];
    const send = () =>
      events.send(session.id, { events: [{ type: 'user.message', content }] }, { headers: { 'idempotency-key': hold } });
    const reading = howItEnds(read());
    const sent = await send();
    await eventually(() => expect(types).toContain('session.status_running'));
    await stack.kill('api');
    expect(await reading).toBe('lost');
    await stack.start('api');
    expect((await send()).data?.[0]).toMatchObject({ id: String(sent.data?.[0]?.id) });
    await release(hold);
    await eventually(read);
    expect(types).toEqual(['user.message', 'session.status_running', 'agent.message', 'session.status_idle']);
    expect(reply).toBe('One two three');
  });
});

test.each([
  ['of today', ensureSdkPython],
  ['of November 2025', ensureEarlierPython],
])(
  "OpenAI's Python client %s that repeats a call because the API was killed gets the one reply",
  async (version, ensurePython) => {
    const python = join(await ensurePython(), 'python');
    const hold = `python-${version.replaceAll(' ', '-')}`;
    const text = once(`[[SAY Once]] [[HOLD ${hold}]]`);
    const env = { BASE_URL: `${stack.url}/openai/v1`, API_KEY: apiKey, AGENT: agentId, TEXT: text };
    const program = join(import.meta.dirname, 'door_retry_program.py');
    const [{ stdout }] = await Promise.all([run(python, [program], { env, timeout: TEST_LIMIT_MS }), killDuring(text, hold)]);
    expect(stdout).toBe('Once');
    expect(await repliesTo(text)).toEqual(['Once']);
  },
);
