import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import { CONNECTION_LOST, GatewayRequestError, INVALID_REQUEST, NO_ANSWER } from '../../gateway/gateway-errors.ts';
import { isClosedSession } from '../../gateway/turn-results.ts';
import type {
  ClosedSession,
  RefusalReason,
  SendOptions as PublicOptions,
  SendResult,
  TurnOutcome,
  TurnResult,
} from '../../gateway/turn-results.ts';
import type { GatewayClient, SecondAnswer } from '../wire/gateway-client.ts';
import { readHistory } from './gateway-history.ts';
import { decideRecovery } from './recovery.ts';
import { asPlainText } from './spoken-text.ts';
import { finishReasonOf, refusalIn, resultOfFailure, resultOfStop } from './turn-outcome.ts';

type SendOptions = Omit<PublicOptions, 'timeoutSeconds'>;

export interface TurnRequest {
  /** See turnKey. The same key with the same message is carried out once per gateway process. */
  key: string;
  /** The agent's name inside the gateway. */
  agentId: string;
  sessionKey: string;
  message: string;
  saidAt: Date;
  /** 32 hex digits; the relay finds the turn by it. */
  traceId: string;
  /** How long the run may take. */
  timeoutSeconds: number;
}

const agentPayload = z.looseObject({
  status: z.string(),
  summary: z.string().optional().catch(undefined),
  stopReason: z.string().nullish().catch(null),
  timeoutPhase: z.string().nullish().catch(null),
  result: z
    .looseObject({
      payloads: z
        .array(z.looseObject({ text: z.string().nullish(), isError: z.boolean().nullish() }))
        .nullish()
        .catch(null),
      meta: z
        .looseObject({ stopReason: z.string().nullish().catch(null) })
        .nullish()
        .catch(null),
    })
    .nullish()
    .catch(null),
});

type AgentPayload = z.infer<typeof agentPayload>;

/** What the gateway adds to an answer that reached the limit of tokens. */
const LIMIT_NOTE = /^⚠️ Reply truncated at the model's output token limit/;

const abortAnswer = z.looseObject({ aborted: z.boolean() });

/** A `traceparent` with this trace id. Every model call of the run carries it. */
export function traceparentOf(traceId: string): string {
  if (!/^(?!0{32})[0-9a-f]{32}$/.test(traceId)) throw new Error(`Not a trace id: ${traceId}`);
  return `00-${traceId}-${randomBytes(8).toString('hex')}-01`;
}

/**
 * Hands a turn to the gateway. An archived conversation is restored first, and one that the gateway gave up begins
 * anew. Throws the signal's reason when it is aborted; everything that the gateway may answer is a SendResult.
 */
export async function sendTurn(client: GatewayClient, turn: TurnRequest, options: SendOptions = {}): Promise<SendResult> {
  const first = await sendOnce(client, turn, options);
  if (first.kind !== 'refused' || !isClosedSession(first.why)) return first;
  const failed = await reopenSession(client, turn.sessionKey, first.why, options.signal);
  return failed ?? sendOnce(client, turn, options);
}

/** Has a gateway take turns of this conversation again; null when it will. Throws the signal's reason. */
export async function reopenSession(
  client: GatewayClient,
  sessionKey: string,
  why: ClosedSession,
  signal?: AbortSignal,
): Promise<SendResult | null> {
  return why === 'archived' ? restore(client, sessionKey, signal) : beginAnew(client, sessionKey, signal);
}

/** Stops a running or waiting turn. False when the gateway has none under this key. Throws GatewayRequestError. */
export async function abortTurn(
  client: GatewayClient,
  { sessionKey, key }: { sessionKey: string; key: string },
): Promise<boolean> {
  return abortAnswer.parse(await client.request('chat.abort', { sessionKey, runId: key })).aborted;
}

async function sendOnce(client: GatewayClient, turn: TurnRequest, { signal, onResult }: SendOptions): Promise<SendResult> {
  const answer = hearAnswer(client, turn.key);
  let result: SendResult = { kind: 'lost' };
  try {
    const payload = await client.request('agent', paramsOf(turn), {
      ...(signal && { signal }),
      traceparent: traceparentOf(turn.traceId),
      second: {
        follows: (first) => agentPayload.safeParse(first).data?.status === 'accepted',
        onResponse: (second) => {
          answer.stop();
          onResult?.(orHeard(resultOfAnswer(second), answer.heard()));
        },
      },
    });
    result = await resultOfFirst(client, turn, payload);
  } catch (error) {
    result = resultOfRefusal(error);
  } finally {
    if (result.kind !== 'accepted') answer.stop();
  }
  return result;
}

function paramsOf({ agentId, sessionKey, message, saidAt, key, timeoutSeconds }: TurnRequest) {
  return {
    ...{ agentId, sessionKey },
    message: asPlainText(message, saidAt),
    ...{ idempotencyKey: key, timeout: timeoutSeconds, deliver: false },
  };
}

/** The gateway's second answer has only what was said after the last tool call; its `final` event has all. */
function hearAnswer(client: GatewayClient, key: string) {
  let heard: Completed | null = null;
  const stop = client.onEvent((event) => {
    if (event.kind === 'final' && event.runId === key) heard = completedBy(event.text, event.stopReason);
  });
  return { stop, heard: () => heard };
}

type Completed = Extract<TurnOutcome, { kind: 'completed' }>;

function completedBy(text: string, stopReason: string | null): Completed {
  return { kind: 'completed', text, finishReason: finishReasonOf(stopReason) };
}

/** The whole reply, where it is known, for what an answer of the gateway has of it. */
function orHeard(result: TurnResult, heard: Completed | null): TurnResult {
  const isReply = result.kind === 'done' && result.outcome.kind === 'completed';
  return isReply && heard ? { kind: 'done', outcome: heard } : result;
}

async function resultOfFirst(client: GatewayClient, turn: TurnRequest, payload: unknown): Promise<SendResult> {
  const parsed = agentPayload.safeParse(payload).data;
  if (parsed?.status === 'accepted') return { kind: 'accepted' };
  if (parsed?.status === 'in_flight') return { kind: 'in-flight' };
  const result = resultOfAnswer({ payload, error: null });
  return parsed?.status === 'ok' ? orHeard(result, await storedAnswer(client, turn)) : result;
}

/** Null when the gateway gives no history, as while it drains. */
async function storedAnswer(client: GatewayClient, { sessionKey, key }: TurnRequest): Promise<Completed | null> {
  try {
    const decision = decideRecovery(await readHistory(client, { sessionKey, keys: [key] }), key);
    return decision.kind === 'finished' ? { ...decision, kind: 'completed' } : null;
  } catch (error) {
    if (error instanceof GatewayRequestError) return null;
    throw error;
  }
}

/** A first answer with an error either refuses the turn or, with a payload, repeats how this key's turn failed. */
function resultOfRefusal(error: unknown): SendResult {
  if (!(error instanceof GatewayRequestError)) throw error;
  if (error.code === CONNECTION_LOST || error.code === NO_ANSWER) return { kind: 'lost' };
  if (agentPayload.safeParse(error.payload).success) return resultOfAnswer({ payload: error.payload, error });
  return refused(
    refusalIn(`${error.reason} ${error.message}`) ?? (error.code === INVALID_REQUEST ? 'invalid' : 'unknown'),
    error,
  );
}

/** The status decides: failures come with ok true and with ok false. */
function resultOfAnswer({ payload, error }: SecondAnswer): TurnResult {
  const parsed = agentPayload.safeParse(payload).data;
  const stopReason = parsed?.stopReason ?? null;
  switch (parsed?.status) {
    case 'ok':
      return { kind: 'done', outcome: completedBy(answerIn(parsed), parsed.result?.meta?.stopReason ?? null) };
    case 'timeout':
      return resultOfStop(parsed.timeoutPhase === 'gateway_draining' ? 'restart' : stopReason, '');
    default: {
      if (stopReason === 'restart' || stopReason === 'rpc') return resultOfStop(stopReason, '');
      const result = resultOfFailure(error?.message ?? errorIn(parsed) ?? 'The agent failed without saying why.');
      return result.kind === 'refused' && error ? refused(result.why, error) : result;
    }
  }
}

function refused(why: RefusalReason, { message, retryAfterMs }: GatewayRequestError): TurnResult {
  return { kind: 'refused', why, message, ...(retryAfterMs !== undefined && { retryAfterMs }) };
}

/** What the agent said, at least since its last tool call. */
function answerIn({ result }: AgentPayload): string {
  const said = (result?.payloads ?? []).filter(({ isError }) => isError !== true);
  return said
    .map(({ text }) => text ?? '')
    .filter((text) => text !== '' && !LIMIT_NOTE.test(text))
    .join('\n\n');
}

function errorIn(payload: AgentPayload | undefined): string | undefined {
  return payload?.result?.payloads?.find(({ isError }) => isError === true)?.text ?? payload?.summary;
}

async function restore(client: GatewayClient, sessionKey: string, signal: AbortSignal | undefined): Promise<SendResult | null> {
  try {
    const { sessionId } = await readHistory(client, { sessionKey, keys: [], ...(signal && { signal }) });
    const params = { key: sessionKey, archived: false, expectedSessionId: sessionId };
    await client.request('sessions.patch', params, signal ? { signal } : {});
    return null;
  } catch (error) {
    return resultOfRefusal(error);
  }
}

/** The agent forgets what was said in it; what we stored of it stays. */
async function beginAnew(client: GatewayClient, sessionKey: string, signal: AbortSignal | undefined): Promise<SendResult | null> {
  try {
    await client.request('sessions.reset', { key: sessionKey }, signal ? { signal } : {});
    return null;
  } catch (error) {
    return resultOfRefusal(error);
  }
}
