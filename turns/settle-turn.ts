import { setTimeout as sleep } from 'node:timers/promises';
import { claimAttempt } from '../database/messages/claim-turn.ts';
import type { Claimant } from '../database/messages/claim-turn.ts';
import type { PendingTurn } from '../database/messages/pending-turns.ts';
import { findRefusal } from '../database/messages/find-refusal.ts';
import type { Refusal } from '../database/messages/find-refusal.ts';
import type { TurnEnd } from '../domain/turn.ts';
import type { Gateway, TurnTrace } from '../runtime/gateway/gateway.ts';
import type { ClosedSession, Recovery, TurnOutcome, TurnResult } from '../runtime/gateway/turn-results.ts';
import { endTurn } from './end-turns.ts';
import { reportRefusal } from './report-refusal.ts';
import { recordSigns } from './steps/record-signs.ts';
import type { TurnDeps } from './turn-deps.ts';
import { budgetEnd, endOfOutcome, failedEnd } from './turn-end.ts';

export type Settled =
  /** Its end is committed, by this call or by another process. */
  | { kind: 'ended' }
  /** At work in the gateway, or in its queue, under this run id. Its events tell the rest. */
  | { kind: 'running'; runKey: string; textSoFar: string; hasBegun: boolean }
  /** Not clear yet, or the gateway takes nothing now: settle it again, after this time at least. */
  | { kind: 'wait'; retryAfterMs: number }
  /** The gateway does not take this request: settle it again a few times, then give it up. */
  | { kind: 'refused'; retryAfterMs: number }
  /** It must be sent, but this claimant may not send it, or not any more. */
  | { kind: 'not-ours' };

export interface SettleOptions {
  /** The claimant that may send it again; null: only find out what became of it. */
  claimant: Claimant | null;
  signal: AbortSignal;
  /** How the gateway said that the turn ended; the history is believed first. */
  reported?: TurnOutcome;
  /** Its conversation was refused for this, and is opened again before the turn is sent again. */
  reopen?: ClosedSession | undefined;
  /** Gets what a second answer of the gateway says about a turn that was sent here. Must not throw. */
  onResult?: (result: TurnResult) => void;
}

const ROUNDS = 5;
const LOOKS = 5;
const PAUSE_MS = 500;
/** The gateway's own time limit is this much longer, so that ours ends the turn first. */
const TIMEOUT_MARGIN_SECONDS = 60;

/**
 * Sends a turn that this claimant has just claimed for the first time. Throws the signal's reason; what the gateway
 * does not answer clearly is a `wait`.
 */
export async function sendFirst(deps: TurnDeps, gateway: Gateway, turn: PendingTurn, options: SettleOptions): Promise<Settled> {
  const sent = await send(deps, gateway, turn, options);
  return sent.kind === 'look' ? settleTurn(deps, gateway, turn, { ...options, ...sent }) : sent;
}

/**
 * Finds out from the gateway's history what became of a turn that was sent and has not ended, and brings it further:
 * ends it, sends it again under the key that the gateway will take, or says that it runs. Throws
 * GatewayRequestError when the gateway does not answer (one that drains does not), and the signal's reason.
 */
export async function settleTurn(deps: TurnDeps, gateway: Gateway, turn: PendingTurn, options: SettleOptions): Promise<Settled> {
  const { claimant, signal } = options;
  let { reported } = options;
  let current = turn;
  for (let round = 1; round <= ROUNDS; round += 1) {
    const { recovery, signs } = await traceOf(gateway, current, { reported, signal });
    // Before it ends: whoever gets the reply finds them.
    await recordSigns(deps, current, signs);
    const settled = await settleFrom(deps, gateway, current, { recovery, reported });
    if (settled) return settled;
    if (!claimant) return { kind: 'wait', retryAfterMs: PAUSE_MS };
    const next = recovery.kind === 'resend-new' ? current.attempt + 1 : current.attempt;
    const { messageId, attempt } = current;
    const claimed = await claimAttempt(deps.orm.em.fork(), { messageId, attempt, next, claimant });
    if (!claimed) return { kind: 'not-ours' };
    // Only after the history was read: a conversation that was opened again does not know any more which keys were used.
    if (options.reopen) await gateway.turns.reopen(claimed, options.reopen, signal);
    const sent = await send(deps, gateway, claimed, options);
    if (sent.kind !== 'look') return sent;
    reported = sent.reported;
    current = claimed;
  }
  return { kind: 'wait', retryAfterMs: PAUSE_MS };
}

/**
 * What became of the turn. A gateway shows that a run is over before it shows its answer, so an end without an answer
 * counts only when it was reported too, or when it still looks the same a while later.
 */
async function traceOf(
  gateway: Gateway,
  turn: PendingTurn,
  { reported, signal }: { reported: TurnOutcome | undefined; signal: AbortSignal },
): Promise<TurnTrace> {
  for (let look = 1; ; look += 1) {
    const trace = await gateway.turns.readBack(turn, signal);
    const outcome = outcomeOf(trace.recovery);
    if (!outcome || look === LOOKS || (outcome.kind === 'completed' ? outcome.text !== '' : outcome.kind === reported?.kind))
      return trace;
    await sleep(PAUSE_MS, undefined, { signal });
  }
}

/** What follows from the history and the reported end alone; null: the turn has to be sent. */
async function settleFrom(
  deps: TurnDeps,
  gateway: Gateway,
  turn: PendingTurn,
  { recovery, reported }: { recovery: Recovery; reported: TurnOutcome | undefined },
): Promise<Settled | null> {
  const outcome = outcomeOf(recovery) ?? (isRerun(gateway, turn, recovery) ? undefined : reported);
  if (outcome) {
    // The error text of the gateway does not tell that a budget or a content filter ended the turn; the last model call does.
    const refusal = outcome.kind === 'failed' ? await findRefusal(deps.orm.em.fork(), turn.messageId) : null;
    await endTurn(deps, turn.messageId, refusal ? endOfRefusal(refusal, deps.clock()) : endOfOutcome(outcome));
    return { kind: 'ended' };
  }
  if (recovery.kind === 'running') return recovery;
  return recovery.kind === 'wait' ? { kind: 'wait', retryAfterMs: PAUSE_MS } : null;
}

function endOfRefusal(refusal: Refusal, now: Date): TurnEnd {
  return refusal.kind === 'filtered' ? failedEnd('model_error', 'answer_filtered') : budgetEnd(refusal.budget, now);
}

function outcomeOf(recovery: Recovery): TurnOutcome | undefined {
  if (recovery.kind === 'finished') return { ...recovery, kind: 'completed' };
  return recovery.kind === 'failed' || recovery.kind === 'cancelled' ? recovery : undefined;
}

/** Whether the gateway runs the turn again under another key. Then a failure that was reported for our key is not the turn's end. */
function isRerun({ turns }: Gateway, turn: PendingTurn, recovery: Recovery): boolean {
  return recovery.kind === 'running' && recovery.runKey !== turns.runIdOf(turn);
}

/** The history must be read to decide what to do. `reported` counts when the history has no answer. */
type Look = { kind: 'look'; reported?: TurnOutcome };

/** Sends the attempt that was committed before. */
async function send(deps: TurnDeps, gateway: Gateway, turn: PendingTurn, options: SettleOptions): Promise<Settled | Look> {
  const timeoutSeconds = Math.ceil(deps.turnTimeoutMs / 1_000) + TIMEOUT_MARGIN_SECONDS;
  const { signal, onResult } = options;
  const result = await gateway.turns.send(turn, { timeoutSeconds, signal, ...(onResult && { onResult }) });
  switch (result.kind) {
    case 'accepted':
    case 'in-flight':
      return { kind: 'running', runKey: gateway.turns.runIdOf(turn), textSoFar: '', hasBegun: false };
    case 'lost':
      return { kind: 'wait', retryAfterMs: PAUSE_MS };
    case 'done':
      if (result.outcome.kind !== 'completed') return { kind: 'look', reported: result.outcome };
      await endTurn(deps, turn.messageId, endOfOutcome(result.outcome));
      return { kind: 'ended' };
    case 'refused':
      await reportRefusal(deps, turn, gateway.bootId, result.why);
      return settledByRefusal(result, deps.pauses.brokenMs);
  }
}

function settledByRefusal({ why, retryAfterMs = 0 }: Extract<TurnResult, { kind: 'refused' }>, brokenMs: number): Settled | Look {
  switch (why) {
    case 'input-ended':
    case 'start-changed':
      return { kind: 'look' };
    case 'draining':
      return { kind: 'wait', retryAfterMs: Math.max(retryAfterMs, PAUSE_MS) };
    case 'cleanup-failed':
    case 'unsettled':
    case 'preparing':
    case 'unknown':
    case 'disk-full':
    case 'agent-damaged':
    case 'state-damaged':
      return { kind: 'wait', retryAfterMs: Math.max(retryAfterMs, brokenMs) };
    case 'archived':
    case 'session-lost':
    case 'invalid':
      return { kind: 'refused', retryAfterMs: Math.max(retryAfterMs, brokenMs) };
  }
}
