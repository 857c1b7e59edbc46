import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { anthropicStream } from '../support/anthropic-events.ts';
import { awsEvent } from '../support/aws-frames.ts';
import { refuseWith, startWireServer } from '../relay/wire-server.ts';
import type { WireServer } from '../relay/wire-server.ts';

const ROOT = join(import.meta.dirname, '../..');
const KEY = 'the-secret-key';

let openAi: WireServer;
let anthropic: WireServer;
let bedrock: WireServer;

beforeAll(async () => {
  [openAi, anthropic, bedrock] = [await startWireServer(), await startWireServer(), await startWireServer()];
});

afterAll(() => Promise.all([openAi.close(), anthropic.close(), bedrock.close()]));

async function check(settings: object): Promise<{ code: unknown; output: string }> {
  const env = Object.fromEntries(Object.entries(settings).map(([name, value]) => [name, JSON.stringify(value)]));
  const child = spawn(join(ROOT, 'node_modules/.bin/node'), ['scripts/models-check.ts'], {
    cwd: ROOT,
    env: { ...process.env, ...env },
  });
  const ended = once(child, 'exit');
  const output = await Promise.all([text(child.stdout), text(child.stderr)]);
  return { code: (await ended)[0], output: output.join('') };
}

const model = { contextWindow: 200_000, maxTokens: 8_192 };
const catalogue = () => ({
  PROVIDERS: {
    any: { kind: 'openai', url: `${openAi.url}/v1`, key: KEY },
    claude: { kind: 'anthropic', url: anthropic.url, key: KEY },
    aws: { kind: 'bedrock', region: 'us-east-1', url: bedrock.url, key: KEY },
    lost: { kind: 'openai', url: 'http://127.0.0.1:9/v1', key: KEY },
  },
  MODELS: {
    kimi: { ...model, provider: 'any', upstream: 'kimi', fallbacks: [{ provider: 'aws', upstream: 'moonshotai.kimi' }] },
    claude: { ...model, provider: 'claude', upstream: 'claude-x' },
  },
});

test('calls each model of each kind of provider once and says what works, and what to change where one does not', async () => {
  openAi.play((response) => {
    const usage = { prompt_tokens: 9, completion_tokens: 1 };
    const events = [{ choices: [{ index: 0, delta: { content: 'ok' } }] }, { choices: [], usage }];
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.end(`${events.map((event) => `data: ${JSON.stringify(event)}\n\n`).join('')}data: [DONE]\n\n`);
  });
  anthropic.play((response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' }).end(anthropicStream('ok'));
  });
  bedrock.play((response) => {
    response.writeHead(200, { 'content-type': 'application/vnd.amazon.eventstream' });
    response.write(awsEvent('contentBlockDelta', { contentBlockIndex: 0, delta: { text: 'ok' } }));
    response.end(awsEvent('messageStop', { stopReason: 'end_turn' }));
  });
  const { PROVIDERS, MODELS } = catalogue();
  expect(await check({ PROVIDERS, MODELS })).toEqual({
    code: 0,
    output: [
      'ok      kimi at any (kimi): 9 tokens read, 1 written',
      'ok      kimi at aws (moonshotai.kimi): it reports no usage, so that its calls are counted by estimate',
      'ok      claude at claude (claude-x): 7 tokens read, 3 written',
      '',
    ].join('\n'),
  });

  openAi.play(refuseWith(401, { error: { message: `Incorrect API key provided: ${KEY}` } }));
  anthropic.play(refuseWith(404, { type: 'error', error: { type: 'not_found_error', message: 'model: claude-x' } }));
  bedrock.play(
    refuseWith(
      400,
      { message: "Invocation with on-demand throughput isn't supported" },
      { 'x-amzn-errortype': 'ValidationException' },
    ),
  );
  const more = { lost: { ...model, provider: 'lost', upstream: 'm' } };
  const { code, output } = await check({ PROVIDERS, MODELS: { ...MODELS, ...more } });
  expect(code).toBe(1);
  expect(output.split('\n')).toEqual([
    expect.stringMatching(/^FAILED  kimi at any \(kimi\): The provider "any" rejects our account \(401\)\. Check its key/),
    expect.stringMatching(/^FAILED  kimi at aws .* Set "upstream" to an id that this region has, or to its inference profile\./),
    expect.stringMatching(/^FAILED  claude at claude .* does not know the model, or its url is wrong \(404\)/),
    expect.stringMatching(/^FAILED  lost at lost .* cannot be reached\. Check its url/),
    '',
  ]);
  expect(output).not.toContain(KEY);
});
