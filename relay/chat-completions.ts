import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { CONTENT_FILTER } from '../domain/turn.ts';
import type { Share } from '../lib/shares.ts';
import { allowedFields } from './allowed-fields.ts';
import { authenticate } from './authenticate.ts';
import { readChatRequest } from './chat-request.ts';
import type { ChatRequest } from './chat-request.ts';
import type { ProviderAnswer } from './model-provider.ts';
import { refuse } from './refuse.ts';
import type { RelayDeps } from './relay-deps.ts';
import { RelayError } from './relay-error.ts';
import type { CallOutcome } from './relay-metrics.ts';
import type { RelayAgent } from './store.ts';
import { traceIdOf } from './trace-id.ts';
import { tapEventStream, tapJson } from './usage-tap.ts';
import type { RecordUsage } from './usage-tap.ts';

/**
 * POST /v1/chat/completions: one model call of one agent. The provider's answer passes through unchanged, and its usage
 * is in the database before its last bytes leave. A caller that leaves ends the call at the provider.
 */
export async function completeChat(deps: RelayDeps, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const abandoned = new AbortController();
  response.once('close', () => abandoned.abort());
  const agent = await authenticate(deps, request);
  requireRunning(agent);
  const { agentId, instanceId, accountId } = agent;
  const log = deps.log.child({ agentId, instanceId, accountId });

  deps.metrics.openCalls.inc();
  let outcome: CallOutcome = 'completed';
  const room = roomOf(deps, agent);
  try {
    const signal = AbortSignal.any([abandoned.signal, AbortSignal.timeout(deps.callMs)]);
    await deps.openCalls.run(agent, () => relayCall({ ...deps, log, takeRoom: room.take }, agent, request, response, signal));
  } catch (error) {
    outcome = abandoned.signal.aborted ? 'abandoned' : outcomeOf(error, response);
    if (outcome !== 'abandoned') refuse(log, response, error);
  }
  room.giveBack();
  deps.metrics.openCalls.dec();
  deps.metrics.calls.inc({ outcome });
}

/** The room that this call takes for its body. */
function roomOf({ bodies }: RelayDeps, { accountId }: RelayAgent) {
  let held: Share | null = null;
  return {
    take(bytes: number): Share {
      held = bodies.take(accountId, bytes);
      if (held) return held;
      throw new RelayError(503, 'Too many bytes are being received at the moment. Try again.', { retryAfterSeconds: 1 });
    },
    giveBack: () => held?.giveBack(),
  };
}

async function relayCall(
  deps: RelayDeps & { takeRoom(bytes: number): Share },
  agent: RelayAgent,
  request: IncomingMessage,
  response: ServerResponse,
  signal: AbortSignal,
): Promise<void> {
  const startedAt = deps.clock().getTime();
  const chat = forProvider(
    deps,
    agent,
    await readChatRequest(request, { limitBytes: deps.maxBodyBytes, takeRoom: deps.takeRoom }),
  );
  const traceparent = oneHeader(request, 'traceparent');
  const record = recorder(deps, agent, traceIdOf(traceparent));
  const answer = await deps.provider.complete({ request: chat, traceparent, signal }).catch(async (error: unknown) => {
    if (error instanceof RelayError && error.code === CONTENT_FILTER) await record(null, CONTENT_FILTER);
    throw error;
  });

  const head = { 'content-type': answer.contentType, 'cache-control': 'no-cache' };
  for await (const chunk of tap(answer, record)) {
    if (!response.headersSent) {
      // Not before: until then a call that fails can still be refused in words.
      response.writeHead(200, head);
      deps.metrics.firstByteSeconds.observe((deps.clock().getTime() - startedAt) / 1000);
    }
    if (!response.write(chunk)) await once(response, 'drain', { signal });
  }
  if (!response.headersSent) response.writeHead(200, head);
  response.end();
}

/** A token lies in the storage of its instance, so it can be used while no gateway of ours runs there. */
function requireRunning({ isRunning }: RelayAgent): void {
  if (!isRunning) throw new RelayError(400, 'The instance of this agent is stopped. Start it before its agents call a model.');
}

/** The request with what may reach the provider alone, and its name of the model. */
function forProvider({ config }: RelayDeps, agent: RelayAgent, chat: ChatRequest): ChatRequest {
  if (chat.model !== agent.model) {
    throw new RelayError(400, `This agent has the model "${agent.model}", so it cannot call "${chat.model}".`);
  }
  const model = config.MODELS[agent.model];
  if (!model) {
    throw new RelayError(400, `The model "${agent.model}" is not offered any more. Make a new agent with another one.`);
  }
  return allowedFields(chat, model);
}

function tap({ isStream, body }: ProviderAnswer, record: RecordUsage): AsyncIterable<Uint8Array> {
  return isStream ? tapEventStream(body, record) : tapJson(body, record);
}

/** Writes the row of this call. An answer never fails because it could not be counted. */
function recorder({ store, metrics, log }: RelayDeps, agent: RelayAgent, traceId: string | null): RecordUsage {
  return async (usage, finishReason) => {
    const counted = usage ?? { inputTokens: 0, outputTokens: 0 };
    try {
      await store.recordModelCall({ agent, traceId, finishReason, ...counted });
      log.info({ ...counted, usageKnown: usage !== null }, 'model call');
    } catch (err) {
      metrics.usageLost.inc();
      log.error({ err, ...counted }, 'the usage of a model call is not in the database');
    }
  };
}

function outcomeOf(error: unknown, response: ServerResponse): CallOutcome {
  if (response.headersSent) return 'cut';
  return error instanceof RelayError && error.status < 500 ? 'refused' : 'failed';
}

function oneHeader(request: IncomingMessage, name: string): string | undefined {
  const value = request.headers[name];
  return Array.isArray(value) ? value[0] : value;
}
