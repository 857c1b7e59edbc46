import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { z } from 'zod';
import { cacheDirOf } from '../../lib/cache-dir.ts';
import type { WireName } from '../../lib/settings/models.ts';
import { renderConfig } from '../../runtime/openclaw/install/render-config.ts';
import type { RuntimeSpec } from '../../runtime/driver.ts';
import { waitUntilReady } from '../../runtime/openclaw/wire/readiness.ts';
import { ProcessDriver } from '../../runtime/process/process-driver.ts';
import { anthropicEvent, anthropicStream } from '../support/anthropic-events.ts';
import { eventually, PATIENCE_MS } from '../support/eventually.ts';
import { offeredModel } from '../support/offered-model.ts';
import { openClaw } from '../support/open-claw.ts';
import { openTestOrm } from '../support/test-database.ts';
import type { TestOrm } from '../support/test-database.ts';
import { addAgent, callsOf, MODEL, startRelay } from './relay-under-test.ts';
import type { RelayUnderTest, TestAgent } from './relay-under-test.ts';
import { startWireServer } from './wire-server.ts';
import type { WireServer } from './wire-server.ts';

const TOKEN = 'token-of-the-gateway-under-test';
const RUNTIME = 'anthropic_under_test';
const UPSTREAM = 'claude-of-the-provider';

let database: TestOrm;
let provider: WireServer;
let relay: RelayUnderTest;
let agent: TestAgent;
let dataDir: string;
let driver: ProcessDriver;
const startedAt = async () => (await driver.inspect(RUNTIME)).startedAt;
const call = () => ({ epoch: 1, signal: AbortSignal.timeout(PATIENCE_MS) });

beforeAll(async () => {
  database = await openTestOrm();
  provider = await startWireServer();
  relay = await startRelay(database.url, undefined, {
    providers: { claude: { kind: 'anthropic', url: provider.url, key: 'the-key', headers: {} } },
    models: { [MODEL]: offeredModel({ upstream: UPSTREAM, provider: 'claude' }) },
  });
  agent = await addAgent(database.orm);
  dataDir = await mkdtemp(join(tmpdir(), 'anthropic-gateway-'));
  const program = {
    node: process.execPath,
    entry: await openClaw(),
    compileCacheDir: join(cacheDirOf(process.env), 'compile-cache'),
  };
  driver = new ProcessDriver({ dataDir, relayUrl: relay.url, program });
  await driver.ensureRunning(configuredFor('openai-completions'), call());
  await waitUntilReady((await driver.endpoint(RUNTIME))!, {
    ...{ signal: AbortSignal.timeout(PATIENCE_MS), deadlineMs: PATIENCE_MS },
    isAlive: async () => (await driver.inspect(RUNTIME)).status === 'running',
    exitOf: () => driver.exitOf(RUNTIME),
  });
});

/** The gateway with an agent that calls its model on this wire. */
function configuredFor(wire: WireName): RuntimeSpec {
  const content = {
    ...{ gatewayToken: TOKEN, relayUrl: driver.relayUrl(), paths: driver.paths(RUNTIME), turnTimeoutSeconds: 600 },
    agents: [
      {
        ...{ gatewayAgentId: 'alpha', displayName: 'Alpha', relayToken: agent.token },
        model: {
          id: MODEL,
          contextWindow: 200_000,
          maxTokens: 8_192,
          input: ['text', 'image'] as const,
          wire,
        },
      },
    ],
  };
  return { runtimeId: RUNTIME, renderConfig: (placement) => renderConfig(content, placement) };
}

afterAll(async () => {
  await driver.destroy(RUNTIME, { ...call(), epoch: 2 });
  await relay.close();
  await provider.close();
  await database.close();
  await rm(dataDir, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
});

const completion = z.object({ choices: z.tuple([z.object({ message: z.object({ content: z.string() }) })]) });

/** A stream in which the model calls a tool with these arguments. */
const toolUse = (name: string, input: object): string =>
  [
    {
      type: 'message_start',
      message: { id: 'msg_t', role: 'assistant', content: [], usage: { input_tokens: 11, output_tokens: 1 } },
    },
    { type: 'content_block_start', index: 0, content_block: { type: 'tool_use', id: 'toolu1', name, input: {} } },
    { type: 'content_block_delta', index: 0, delta: { type: 'input_json_delta', partial_json: JSON.stringify(input) } },
    { type: 'content_block_stop', index: 0 },
    { type: 'message_delta', delta: { stop_reason: 'tool_use' }, usage: { output_tokens: 5 } },
    { type: 'message_stop' },
  ]
    .map((data) => anthropicEvent(data))
    .join('');

const say = async (content: string) =>
  fetch(`${(await driver.endpoint(RUNTIME))!.httpUrl}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'openclaw/alpha', messages: [{ role: 'user', content }] }),
    signal: AbortSignal.timeout(PATIENCE_MS),
  });

test('an agent whose model has moved to Anthropic is told so by the relay, and speaks to it once configured, without a restart', async () => {
  provider.play((response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' }).end(anthropicStream('I have moved.'));
  });
  const before = await say('Hello');
  expect([before.ok, await before.text()]).toEqual([false, expect.stringContaining('is called by anthropic-messages now')]);
  const started = await startedAt();
  await driver.writeConfig(configuredFor('anthropic-messages'), call());
  await eventually(async () => {
    const response = await say('Hello again');
    expect(completion.parse(await response.json()).choices[0].message.content).toBe('I have moved.');
  });
  expect(await startedAt()).toEqual(started);
});

test('an agent of a real gateway speaks to a model of Anthropic, uses a tool and answers, and both calls are counted', async () => {
  const asked = provider.received.length;
  const counted = (await callsOf(database.orm, agent)).length;
  provider.play((response, { body }) => {
    const hasResult = JSON.stringify(body['messages']).includes('tool_result');
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.end(
      hasResult ? anthropicStream('The tool has spoken.') : toolUse('exec', { command: 'echo from-the-tool', yieldMs: 120_000 }),
    );
  });
  const response = await say('Use the tool, please.');
  expect(completion.parse(await response.json()).choices[0].message.content).toBe('The tool has spoken.');
  const received = provider.received.slice(asked);
  for (const { path, headers, body } of received)
    expect([path, headers['x-api-key'], body['model']]).toEqual(['/v1/messages', 'the-key', UPSTREAM]);
  const texts = received.map(({ body }) => JSON.stringify(body));
  expect(texts[0]).toContain('"cache_control"');
  expect(texts.at(-1)).toMatch(/"tool_use_id":"toolu1".*from-the-tool/s);
  // The gateway makes a call again that broke off.
  const counts = (await callsOf(database.orm, agent)).slice(counted);
  expect(counts.length).toBeLessThanOrEqual(received.length);
  expect(counts).toEqual(
    expect.arrayContaining([
      expect.objectContaining({ input_tokens: 11, output_tokens: 5, finish_reason: 'tool_calls', provider: 'claude' }),
      expect.objectContaining({ input_tokens: 7, output_tokens: 3, finish_reason: 'stop', provider: 'claude' }),
    ]),
  );
});
