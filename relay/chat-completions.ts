import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { CONTENT_FILTER } from '../domain/turn.ts';
import { actFor } from '../lib/async/acting-for.ts';
import type { Share } from '../lib/async/shares.ts';
import { offersTo, targetsOf, wireOf } from '../lib/settings/models.ts';
import { answerSpare } from './answer-spare.ts';
import { authenticate } from './authenticate.ts';
import { readChatRequest } from './chat-request.ts';
import type { ChatRequest, ReadChat } from './chat-request.ts';
import { estimatedTokens } from '../lib/text/estimated-tokens.ts';
import type { ProviderAnswer } from './providers/model-provider.ts';
import { refuse } from './refuse.ts';
import type { RelayDeps } from './relay-deps.ts';
import { RelayError } from './relay-error.ts';
import type { CallOutcome } from './relay-metrics.ts';
import { reserveCall } from './reserve-call.ts';
import type { Promised } from './reserve-call.ts';
import type { RelayAgent } from './store.ts';
import { traceIdOf } from './trace-id.ts';
import { NOTHING, tapEventStream, tapJson } from './usage-tap.ts';
import type { RecordUsage } from './usage-tap.ts';
import type { Wire } from './wires/wire.ts';

/** One call, while it is under way. */
interface Call {
  wire: Wire;
  agent: RelayAgent;
  request: IncomingMessage;
  response: ServerResponse;
  /** Ends it: its caller has left, or it takes too long. */
  signal: AbortSignal;
  hasLeft(): boolean;
}

/**
 * One model call of one agent, on one of the wires. What it may use is reserved before it goes out. The provider's
 * answer passes through unchanged, and its usage is in the database before its last bytes leave. A caller that leaves ends
 * the call at the provider, and is counted what it got; one that takes too long before its answer counts as reserved.
 */
export async function completeChat(
  deps: RelayDeps,
  wire: Wire,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const abandoned = new AbortController();
  response.once('close', () => abandoned.abort());
  const agent = await servedAgent(deps, wire.tokenOf(request)).catch((error: unknown) => refuse(deps.log, response, error, wire));
  if (!agent) return;
  if (agent === 'spare') {
    answerSpare(wire, request, response);
    return;
  }
  const { agentId, instanceId, accountId } = agent;
  const log = deps.log.child({ agentId, instanceId, accountId });

  deps.metrics.openCalls.inc();
  let outcome: CallOutcome = 'completed';
  try {
    const signal = AbortSignal.any([abandoned.signal, AbortSignal.timeout(deps.callMs)]);
    const call = { wire, agent, request, response, signal, hasLeft: () => abandoned.signal.aborted };
    await actFor(accountId, () => deps.openCalls.run(agent, () => relayCall({ ...deps, log }, call)));
  } catch (error) {
    outcome = abandoned.signal.aborted ? 'abandoned' : outcomeOf(error, response);
    if (outcome !== 'abandoned') refuse(log, response, error, wire);
  }
  deps.metrics.openCalls.dec();
  deps.metrics.calls.inc({ outcome });
}

/** A token lies in the storage of its instance, so it can be used while no gateway of ours runs there. */
async function servedAgent(deps: RelayDeps, token: string | undefined): Promise<RelayAgent | 'spare'> {
  const agent = await authenticate(deps, token);
  if (agent === 'spare') return agent;
  const { isRunning, hasMoney } = agent;
  if (!isRunning) throw new RelayError(400, 'The instance of this agent is stopped. Start it before its agents call a model.');
  if (!hasMoney) {
    throw new RelayError(400, 'The balance of the account is used up. Add credit before its agents call a model again.');
  }
  return agent;
}

async function relayCall(deps: RelayDeps, call: Call): Promise<void> {
  const { wire, response, signal } = call;
  const startedAt = deps.clock().getTime();
  const { answer, settle } = await beginAnswer(deps, call);
  const head = { 'content-type': answer.contentType, 'cache-control': 'no-cache' };
  for await (const chunk of tap(wire, answer, settle)) {
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

/** Sends the call to the provider. The request, and the room for it, are held until an answer begins: it may be sent again. */
async function beginAnswer(deps: RelayDeps, call: Call): Promise<{ answer: ProviderAnswer; settle: RecordUsage }> {
  const room = roomOf(deps, call.agent);
  try {
    const read = await readChatRequest(call.request, {
      expected: call.wire.request,
      limitBytes: deps.maxBodyBytes,
      takeRoom: room.take,
      inTurn: (work) => deps.parsing.run(call.agent.accountId, work),
    });
    return await sendReserved(deps, call, read);
  } finally {
    room.giveBack();
  }
}

/** The room that this call takes for its body. */
function roomOf({ bodies }: RelayDeps, { accountId }: RelayAgent) {
  let held: Share | null = null;
  return {
    take(bytes: number): Share {
      held = bodies.take(accountId, bytes);
      if (held) return held;
      throw new RelayError(503, 'The relay receives too much data at the moment. Try again.', { retryAfterSeconds: 1 });
    },
    giveBack: () => held?.giveBack(),
  };
}

async function sendReserved(
  deps: RelayDeps,
  { wire, agent, request, signal, hasLeft }: Call,
  { chat, bytes }: ReadChat,
): Promise<{ answer: ProviderAnswer; settle: RecordUsage }> {
  const { allowed, promised } = forProvider(deps, wire, agent, { chat, bytes });
  const traceparent = oneHeader(request, 'traceparent');
  const reserved = await reserveCall(deps, { agent, traceId: traceIdOf(traceparent), promised });
  let wasCut = false;
  try {
    const onCut = (): void => void (wasCut = true);
    const answer = await deps.routes.complete(agent.model, { request: allowed, traceparent, signal, onCut });
    return { answer, settle: (usage, reason, came) => reserved.settle(usage, reason, came, answer.from) };
  } catch (error) {
    if (error instanceof RelayError && error.code === CONTENT_FILTER)
      await reserved.settle(wasCut ? null : NOTHING, CONTENT_FILTER, promised.outputTokens);
    else if (hasLeft()) await reserved.settle(null, null, 0);
    else if (wasCut) await reserved.settleAsPromised();
    else await reserved.release();
    throw error;
  }
}

/** The request with what may reach a provider alone; and what it may use. */
function forProvider(
  { config }: RelayDeps,
  wire: Wire,
  agent: RelayAgent,
  { chat, bytes }: ReadChat,
): { allowed: ChatRequest; promised: Promised } {
  if (chat.model !== agent.model) {
    throw new RelayError(400, `This agent has the model "${agent.model}", so it cannot call "${chat.model}".`);
  }
  const model = offersTo(config.MODELS, agent.accountId)[agent.model];
  if (!model) {
    throw new RelayError(400, `The model "${agent.model}" is not offered any more. Make a new agent with another one.`);
  }
  const called = wireOf(targetsOf(model)[0], config.PROVIDERS);
  if (called !== wire.name) {
    throw new RelayError(
      400,
      `The model "${agent.model}" is called by ${called} now. Send the message again in a minute or two.`,
    );
  }
  const allowed = wire.allowedFields(chat, model);
  const inputTokens = Math.min(estimatedTokens(bytes), model.contextWindow);
  return { allowed, promised: { inputTokens, outputTokens: wire.tokenLimitOf(allowed) } };
}

function tap(wire: Wire, { isStream, body }: ProviderAnswer, record: RecordUsage): AsyncIterable<Uint8Array> {
  return isStream ? tapEventStream(body, wire.createReader(), record) : tapJson(body, wire.createReader(), record);
}

function outcomeOf(error: unknown, response: ServerResponse): CallOutcome {
  if (response.headersSent) return 'cut';
  return error instanceof RelayError && error.status < 500 ? 'refused' : 'failed';
}

function oneHeader(request: IncomingMessage, name: string): string | undefined {
  const value = request.headers[name];
  return Array.isArray(value) ? value[0] : value;
}
