import { randomBytes } from 'node:crypto';
import type { MikroORM } from '@mikro-orm/postgresql';
import { createBackground } from '../../lib/async/background.ts';
import { systemClock } from '../../lib/async/clock.ts';
import { startHttpServer } from '../../lib/net/http-server.ts';
import { createLog } from '../../lib/log.ts';
import type { ModelSettings } from '../../lib/settings/models.ts';
import type { ProviderSettings } from '../../lib/settings/providers.ts';
import { createMetrics } from '../../lib/metrics.ts';
import { bodyLimits } from '../../relay/chat-request.ts';
import { createKnownAgents } from '../../relay/known-agents.ts';
import { createOpenCalls } from '../../relay/open-calls.ts';
import type { UpstreamLimits } from '../../relay/providers/http-provider.ts';
import { createRelayMetrics } from '../../relay/relay-metrics.ts';
import { setUpRoutes } from '../../relay/routes/set-up-routes.ts';
import { createTroubleNotes } from '../../relay/routes/trouble-notes.ts';
import { createRelayListener } from '../../relay/server.ts';
import { createRelayStore } from '../../relay/store.ts';
import { relayKeys, relayToken } from '../../runtime/openclaw/install/tokens.ts';
import { offeredModel } from '../support/offered-model.ts';
import { asRole } from '../support/test-database.ts';
import { newAccount, newAgent, newInstance } from '../factories.ts';
import type { NewAgent, NewInstance } from '../factories.ts';

export const MASTER_KEYS = [{ id: 'test', key: randomBytes(32) }];
export const MODEL = 'public-model';
export const UPSTREAM_MODEL = 'upstream-model';
export const UPSTREAM_KEY = 'the-provider-key';

export interface RelayUnderTest {
  /** Base URL, ending in /v1. */
  url: string;
  metrics(): Promise<string>;
  close(): Promise<void>;
}

interface RelayOptions {
  limits?: UpstreamLimits;
  /** None by default: each provider is asked once. */
  budgetMs?: number;
  firstByteMs?: number;
  callMs?: number;
  monotonicMs?: () => number;
  /** By default the one behind the URL, with the name `default`. */
  providers?: Record<string, ProviderSettings>;
  /** By default MODEL alone. */
  models?: Record<string, ModelSettings>;
}

/** The relay in this process, before this provider or, without one, with the built-in echo model. */
export async function startRelay(databaseUrl: string, upstreamUrl?: string, options: RelayOptions = {}): Promise<RelayUnderTest> {
  const log = createLog('relay', 'silent');
  const registry = createMetrics('relay');
  const store = createRelayStore(asRole(databaseUrl, 'relay'), log);
  const metrics = createRelayMetrics(registry);
  const notes = createTroubleNotes(store, log);
  const providers = options.providers ?? (upstreamUrl === undefined ? {} : { default: openAiAt(upstreamUrl) });
  const models = options.models ?? {
    [MODEL]: offeredModel({ upstream: UPSTREAM_MODEL, contextWindow: 1024, maxTokens: 1024 }),
  };
  const patience = {
    ...{ budgetMs: options.budgetMs ?? 0, firstPauseMs: 100, firstByteMs: options.firstByteMs ?? 60_000 },
    ...{ monotonicMs: options.monotonicMs ?? (() => performance.now()), random: Math.random },
  };
  const onChange: Parameters<typeof setUpRoutes>[1]['onChange'] = (target, open) => notes.note(target, open);
  const routes = await setUpRoutes({ models, providers }, { patience, metrics, onChange, limits: options.limits, log });
  const background = createBackground();
  const listener = createRelayListener(
    {
      keys: relayKeys(MASTER_KEYS),
      config: { MODELS: models, PROVIDERS: providers },
      store,
      findAgent: createKnownAgents(store, systemClock),
      openCalls: createOpenCalls(),
      routes,
      metrics,
      ...bodyLimits(8 * 1024 ** 2),
      callMs: options.callMs ?? 60_000,
      clock: systemClock,
      log,
    },
    background,
    new AbortController().signal,
  );
  const server = await startHttpServer(listener, { host: '127.0.0.1', port: 0 });
  return {
    url: `http://127.0.0.1:${server.port}/v1`,
    metrics: () => registry.metrics(),
    async close() {
      await server.drain(0);
      await background.idle();
      await notes.idle();
      await Promise.all([routes.close(), store.close()]);
    },
  };
}

/** A provider of OpenAI's wire, called with UPSTREAM_KEY. */
export function openAiAt(url: string): ProviderSettings {
  return { kind: 'openai', url, key: UPSTREAM_KEY, auth: 'key', headers: {} };
}

export interface TestAgent extends NewAgent {
  token: string;
}

interface NewTestAgent {
  deleted?: boolean;
  instance?: NewInstance;
  epoch?: number | null;
  model?: string;
}

/** Adds an agent, with a running instance and an account that has money unless they are given. */
export async function addAgent(
  orm: MikroORM,
  { deleted = false, instance, epoch = null, model = MODEL }: NewTestAgent = {},
): Promise<TestAgent> {
  const own = instance ?? (await newInstance(orm, { account: await newRich(orm), gatewayEpoch: epoch }));
  const of = { instance: own.instanceId, account: own.accountId };
  const agent = await newAgent(orm, { ...of, model, deletedAt: deleted ? new Date() : null });
  return { ...agent, token: relayToken(MASTER_KEYS, { agentId: agent.agentId, epoch }) };
}

async function newRich(orm: MikroORM): Promise<string> {
  return (await newAccount(orm, { balanceNanoUsd: 1n })).accountId;
}

export interface Ask {
  token: string;
  text?: string | undefined;
  traceId?: string;
  signal?: AbortSignal;
  /** Over the fields of the request. */
  fields?: object | undefined;
}

/** The body of a request, as a gateway sends it. */
export function bodyOf({ text = 'hello', fields }: Pick<Ask, 'text' | 'fields'>): string {
  return JSON.stringify({
    model: MODEL,
    stream: true,
    stream_options: { include_usage: true },
    messages: [
      { role: 'system', content: 'Be kind.' },
      { role: 'user', content: text },
    ],
    ...fields,
  });
}

/** What the relay takes a request for in tokens, before the provider has counted them. */
export const estimateOf = (request: Pick<Ask, 'text' | 'fields'>): number => Math.ceil(bodyOf(request).length / 3);

/** One streamed chat completion, as a gateway asks for it. */
export function ask(relay: Pick<RelayUnderTest, 'url'>, { token, text, traceId, signal, fields }: Ask): Promise<Response> {
  return fetch(`${relay.url}/chat/completions`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${token}`,
      'content-type': 'application/json',
      ...(traceId === undefined ? {} : { traceparent: `00-${traceId}-00f067aa0ba902b7-01` }),
    },
    body: bodyOf({ text, fields }),
    ...(signal ? { signal } : {}),
  });
}

/** Reads a response until its text contains this, and returns what came so far. The response stays open. */
export async function readUntil(reader: ReadableStreamDefaultReader<Uint8Array>, expected: string): Promise<string> {
  const decoder = new TextDecoder();
  let text = '';
  while (!text.includes(expected)) {
    const { value, done } = await reader.read();
    if (done) throw new Error(`The response ended without ${expected}: ${text}`);
    text += decoder.decode(value, { stream: true });
  }
  return text;
}

export function readerOf(response: Response): ReadableStreamDefaultReader<Uint8Array> {
  if (!response.body) throw new Error('The response has no body');
  return response.body.getReader();
}

/** The text of the answer that a whole stream of chunks makes. */
export function contentOf(stream: string): string {
  return [...stream.matchAll(/"content":("(?:[^"\\]|\\.)*")/g)].map(([, json]) => String(JSON.parse(json ?? '""'))).join('');
}

export interface CallRow {
  account_id: string;
  instance_id: string;
  message_id: string | null;
  model: string;
  input_tokens: number;
  output_tokens: number;
  cache_read_tokens: number;
  cache_write_tokens: number;
  thinking_tokens: number;
  finish_reason: string | null;
  provider: string | null;
  upstream: string | null;
}

/** What is recorded of an agent's model calls, oldest first. */
export async function callsOf(orm: MikroORM, { agentId }: TestAgent): Promise<CallRow[]> {
  return orm.em.fork().execute<CallRow[]>(
    `select account_id, instance_id, message_id, model, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens,
            thinking_tokens, finish_reason, provider, upstream
     from model_calls where agent_id = ? order by id`,
    [agentId],
  );
}

export interface OpenCallRow {
  trace_id: string | null;
  input_tokens: number;
  output_tokens: number;
}

/** What is reserved for an agent's calls that are under way, oldest first. */
export async function openCallsOf(orm: MikroORM, { agentId }: TestAgent): Promise<OpenCallRow[]> {
  return orm.em
    .fork()
    .execute<OpenCallRow[]>('select trace_id, input_tokens, output_tokens from open_model_calls where agent_id = ? order by id', [
      agentId,
    ]);
}
