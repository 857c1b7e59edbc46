import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { ProviderSettings } from '../../lib/settings/providers.ts';
import type { UpstreamLimits } from '../../relay/providers/http-provider.ts';
import { eventually } from '../support/eventually.ts';
import { offeredModel } from '../support/offered-model.ts';
import { openTestOrm } from '../support/test-database.ts';
import type { TestOrm } from '../support/test-database.ts';
import { addAgent, callsOf, MODEL, openAiAt, openCallsOf, startRelay } from './relay-under-test.ts';
import type { TestAgent } from './relay-under-test.ts';
import { startWireServer } from './wire-server.ts';
import type { WireServer } from './wire-server.ts';

const MAX_TOKENS = 77;
/** A request is sent well within the first, also on a busy machine. */
const LATE: UpstreamLimits = { thinkingMs: 4_000, silenceMs: 600_000 };
const SILENT: UpstreamLimits = { thinkingMs: 600_000, silenceMs: 500 };
const EVENTS = 'text/event-stream';
const FRAMES = 'application/vnd.amazon.eventstream';

interface Kind {
  settings(url: string): ProviderSettings;
  upstream: string;
  path: string;
  contentType: string;
}

const aws = (url: string): ProviderSettings => ({ kind: 'bedrock', region: 'us-east-1', url, key: 'k' });
const KINDS: Record<string, Kind> = {
  openai: { settings: (url) => openAiAt(`${url}/v1`), upstream: 'm', path: 'chat/completions', contentType: EVENTS },
  anthropic: {
    settings: (url) => ({ kind: 'anthropic', url, key: 'k', headers: {} }),
    ...{ upstream: 'claude', path: 'messages', contentType: EVENTS },
  },
  'bedrock by InvokeModel': { settings: aws, upstream: 'anthropic.claude', path: 'messages', contentType: FRAMES },
  'bedrock by Converse': { settings: aws, upstream: 'moonshotai.kimi', path: 'chat/completions', contentType: FRAMES },
};

let database: TestOrm;
let provider: WireServer;

beforeAll(async () => {
  database = await openTestOrm();
  provider = await startWireServer();
});

afterAll(async () => {
  await provider.close();
  await database.close();
});

const BODY = JSON.stringify({ model: MODEL, stream: true, max_tokens: MAX_TOKENS, messages: [{ role: 'user', content: 'Hi' }] });
const PROMISED = { input_tokens: Math.ceil(BODY.length / 3), output_tokens: MAX_TOKENS, finish_reason: null, provider: null };

/** The status of one call of an agent to a relay before this provider alone, and whose call it was. */
async function callOnce({ settings, upstream, path }: Kind, url: string, limits: UpstreamLimits) {
  const agent = await addAgent(database.orm);
  const relay = await startRelay(database.url, undefined, {
    providers: { one: settings(url) },
    models: { [MODEL]: offeredModel({ upstream, provider: 'one' }) },
    limits,
  });
  const headers = { authorization: `Bearer ${agent.token}` };
  const response = await fetch(`${relay.url}/${path}`, { method: 'POST', headers, body: BODY });
  await response.text();
  await relay.close();
  return { status: response.status, agent };
}

const counted = (agent: TestAgent, calls: object[]) =>
  eventually(async () => {
    expect(await callsOf(database.orm, agent)).toMatchObject(calls);
    expect(await openCallsOf(database.orm, agent)).toEqual([]);
  });

describe.each(Object.entries(KINDS))('a provider of the kind %s', (_, kind) => {
  test('that was sent a call and does not answer in time may go on: the call counts as promised', async () => {
    provider.play(() => {});
    const { status, agent } = await callOnce(kind, provider.url, LATE);
    expect(status).toBe(400);
    await counted(agent, [PROMISED]);
  });

  test('that begins an answer and says nothing may go on: the call counts as promised', async () => {
    provider.play((response) => response.writeHead(200, { 'content-type': kind.contentType }).flushHeaders());
    const { status, agent } = await callOnce(kind, provider.url, SILENT);
    expect(status).toBe(400);
    await counted(agent, [PROMISED]);
  });

  test('that breaks off before its first event, or cannot be reached, is owed nothing', async () => {
    provider.play((response) => {
      response.writeHead(200, { 'content-type': kind.contentType }).flushHeaders();
      response.destroy();
    });
    for (const url of [provider.url, 'http://127.0.0.1:9']) {
      const { status, agent } = await callOnce(kind, url, LATE);
      expect(status).toBe(400);
      await counted(agent, []);
    }
  });
});
