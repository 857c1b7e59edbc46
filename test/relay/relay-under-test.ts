import { randomBytes } from 'node:crypto';
import type { Client } from 'pg';
import { createBackground } from '../../lib/background.ts';
import { systemClock } from '../../lib/clock.ts';
import { startHttpServer } from '../../lib/http-server.ts';
import { createLog } from '../../lib/log.ts';
import type { Log } from '../../lib/log.ts';
import { createMetrics } from '../../lib/metrics.ts';
import { createEchoModel } from '../../relay/echo-model.ts';
import { createKnownAgents } from '../../relay/known-agents.ts';
import type { ModelProvider } from '../../relay/model-provider.ts';
import { createPatientProvider } from '../../relay/patient-provider.ts';
import { createRelayMetrics } from '../../relay/relay-metrics.ts';
import { createRelayListener } from '../../relay/server.ts';
import { createRelayStore } from '../../relay/store.ts';
import { createUpstream } from '../../relay/upstream.ts';
import type { UpstreamLimits } from '../../relay/upstream.ts';
import { relayToken } from '../../runtime/openclaw/tokens.ts';

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

/** The relay in this process, before this provider or, without one, with the built-in echo model. */
export async function startRelay(
  databaseUrl: string,
  upstreamUrl?: string,
  options: { limits?: UpstreamLimits; budgetMs?: number; callMs?: number } = {},
): Promise<RelayUnderTest> {
  const log = createLog('relay', 'silent');
  const registry = createMetrics('relay');
  const store = createRelayStore(databaseUrl, log);
  const provider = upstreamUrl === undefined ? createEchoModel() : providerAt(upstreamUrl, log, options);
  const background = createBackground();
  const listener = createRelayListener(
    {
      config: { MASTER_KEYS, MODELS: { [MODEL]: { upstream: UPSTREAM_MODEL, contextWindow: 1024, maxTokens: 1024 } } },
      store,
      findAgent: createKnownAgents(store, systemClock),
      provider,
      metrics: createRelayMetrics(registry),
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
      await Promise.all([provider.close(), store.close()]);
    },
  };
}

function providerAt(url: string, log: Log, { limits, budgetMs }: { limits?: UpstreamLimits; budgetMs?: number }): ModelProvider {
  const upstream = createUpstream({ url, key: UPSTREAM_KEY }, log, limits);
  if (budgetMs === undefined) return upstream;
  const patience = { budgetMs, firstPauseMs: 100, monotonicMs: () => performance.now(), random: Math.random };
  return createPatientProvider(upstream, patience, log);
}

export interface TestAgent {
  agentId: string;
  instanceId: string;
  accountId: string;
  token: string;
}

/** Adds an agent of an instance and an account of their own. */
export async function addAgent(client: Client, { deleted = false } = {}): Promise<TestAgent> {
  const suffix = randomBytes(8).toString('hex');
  const [agentId, instanceId, accountId] = [`agt_${suffix}`, `inst_${suffix}`, `acc_${suffix}`];
  await client.query(
    `with account as (
       insert into accounts (id, email, name, created_at) values ($3, $3 || '@example.com', 'Account', now())
     ), instance as (
       insert into instances (id, account_id, name, runtime_id, created_at, desired_status, status, shard)
       values ($2, $3, 'Instance', $2, now(), 'running', 'running', 0)
     )
     insert into agents (id, instance_id, account_id, slug, name, display_name, gateway_agent_id, model, status, generation,
       created_at, deleted_at)
     values ($1, $2, $3, 'agent', 'Agent', 'Agent', $1, $4, 'active', 1, now(), case when $5 then now() end)`,
    [agentId, instanceId, accountId, MODEL, deleted],
  );
  return { agentId, instanceId, accountId, token: relayToken(MASTER_KEYS, agentId) };
}

/** Adds the pending reply of a turn, whose model calls carry this trace id. */
export async function addTurn(client: Client, agent: TestAgent, turn: { messageId: string; traceId: string }): Promise<void> {
  await client.query(
    `with conversation as (
       insert into conversations (id, agent_id, session_id, created_at) values ($1, $2, $1, now())
     )
     insert into messages (id, account_id, instance_id, agent_id, conversation_id, number, role, content, sender_type,
       sender_id, sender_name, created_at, status, trace_id)
     values ($1, $4, $3, $2, $1, 1, 'agent', '', 'agent', $2, 'Agent', now(), 'pending', $5)`,
    [turn.messageId, agent.agentId, agent.instanceId, agent.accountId, turn.traceId],
  );
}

export interface Ask {
  token: string;
  text?: string;
  traceId?: string;
  signal?: AbortSignal;
  /** Over the fields of the request. */
  fields?: object;
}

/** One streamed chat completion, as a gateway asks for it. */
export function ask(
  relay: Pick<RelayUnderTest, 'url'>,
  { token, text = 'hello', traceId, signal, fields }: Ask,
): Promise<Response> {
  return fetch(`${relay.url}/chat/completions`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${token}`,
      'content-type': 'application/json',
      ...(traceId === undefined ? {} : { traceparent: `00-${traceId}-00f067aa0ba902b7-01` }),
    },
    body: JSON.stringify({
      model: MODEL,
      stream: true,
      stream_options: { include_usage: true },
      messages: [
        { role: 'system', content: 'Be kind.' },
        { role: 'user', content: text },
      ],
      ...fields,
    }),
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
  finish_reason: string | null;
}

/** What is recorded of an agent's model calls, oldest first. */
export async function callsOf(client: Client, { agentId }: TestAgent): Promise<CallRow[]> {
  const { rows } = await client.query<CallRow>(
    `select account_id, instance_id, message_id, model, input_tokens, output_tokens, finish_reason
     from model_calls where agent_id = $1 order by id`,
    [agentId],
  );
  return rows;
}
