import { findAbortDue, listAbortDue } from '../database/messages/abort-due.ts';
import type { AbortDue } from '../database/messages/abort-due.ts';
import { claimAttempt } from '../database/messages/claim-turn.ts';
import type { Claimant } from '../database/messages/claim-turn.ts';
import { listTurnsInFlight, listUnsentHeads } from '../database/messages/pending-turns.ts';
import type { PendingTurn } from '../database/messages/pending-turns.ts';
import { stampTurns } from '../database/messages/stamp-turns.ts';
import { runTransaction } from '../database/run-transaction.ts';
import type { TurnEnd } from '../domain/turn.ts';
import { StaleEpochError } from '../runtime/driver.ts';
import type { Gateway } from '../runtime/gateway/gateway.ts';
import { recoverEndedTurn } from './abort-turn.ts';
import { endTurnFirst } from './end-turns.ts';
import { sendFirst, settleTurn } from './settle-turn.ts';
import { recordSigns } from './steps/record-signs.ts';
import type { TurnDeps } from './turn-deps.ts';
import { endOfOutcome, failedEnd } from './turn-end.ts';

export interface RecoverOptions {
  /** Connected to the gateway process that has just become ready. */
  gateway: Gateway;
  instanceId: string;
  /** Of the step that has started it: while it works `boot_id` is null. */
  epoch: number;
  signal: AbortSignal;
}

/** A turn that was in flight in this many deaths of its gateway is not tried again. */
const FATAL_DEATHS = 2;

/**
 * Gives every pending turn of an instance to the gateway process that has just been started: what its predecessor had
 * begun goes on before the gateway repeats it under another id (about three seconds after it is ready), what it had
 * finished is stored, what waits is sent. Harmless to repeat. Answers whether the gateway has accepted one that waited, and so takes
 * turns. Throws StaleEpochError when a newer attempt works on the instance, GatewayRequestError when the gateway goes away, and the
 * signal's reason.
 */
export async function recoverTurns(deps: TurnDeps, recovery: RecoverOptions): Promise<boolean> {
  const { gateway, instanceId, epoch, signal } = recovery;
  const { bootId } = gateway;
  const stamped = await runTransaction(deps.orm.em, (em) => stampTurns(em, { instanceId, epoch, bootId }));
  if (!stamped) throw new StaleEpochError(instanceId);
  const em = deps.orm.em.fork();
  const inFlight = await listTurnsInFlight(em, instanceId);
  const ended = await listAbortDue(em, instanceId);
  const options: Options = { claimant: { kind: 'start', epoch, bootId }, signal };
  const recoverOne = (turn: PendingTurn | AbortDue): Promise<void> =>
    'endedSecondsAgo' in turn ? recoverEndedTurn(deps, gateway, turn, signal) : recoverTurn(deps, gateway, turn, options);
  // All conversations at once, because the gateway begins with its own re-runs soon; within one, the older turn first.
  const conversations = Map.groupBy([...ended, ...inFlight], ({ conversationId }) => conversationId);
  await Promise.all(
    [...conversations.values()].map(async (turns) => {
      for (const turn of turns) await unlessUnclear(deps, recovery, turn.messageId, () => recoverOne(turn));
    }),
  );
  const heads = await listUnsentHeads(deps.orm.em.fork(), instanceId);
  const sent = await Promise.all(
    heads.map((id) => unlessUnclear(deps, recovery, id, () => sendHead(deps, gateway, id, options))),
  );
  return sent.includes(true);
}

/** Logs a failure: a turn of which the gateway gives no clear answer must not keep the instance from starting. The watcher goes on with it. */
async function unlessUnclear<T>(
  { log }: TurnDeps,
  { gateway, signal, instanceId }: RecoverOptions,
  messageId: string,
  task: () => Promise<T>,
): Promise<T | null> {
  try {
    return await task();
  } catch (err) {
    signal.throwIfAborted();
    if (!gateway.isOpen()) throw err;
    log.warn({ err, instanceId, messageId }, 'could not recover a turn yet');
    return null;
  }
}

type Options = { claimant: Claimant; signal: AbortSignal };

/** Whether the gateway has accepted it. */
async function sendHead(deps: TurnDeps, gateway: Gateway, messageId: string, options: Options): Promise<boolean> {
  const { claimant } = options;
  const turn = await claimAttempt(deps.orm.em.fork(), { messageId, attempt: 0, next: 1, claimant });
  return turn !== null && (await sendFirst(deps, gateway, turn, options)).kind === 'running';
}

async function recoverTurn(deps: TurnDeps, gateway: Gateway, turn: PendingTurn, options: Options): Promise<void> {
  const end = await endDue(deps, gateway, turn, options.signal);
  if (!end) {
    // What stays unclear the watcher settles, once the instance is published.
    await settleTurn(deps, gateway, turn, options);
    return;
  }
  await endTurnFirst(deps, turn.messageId, end);
  const ended = await findAbortDue(deps.orm.em.fork(), turn.messageId);
  if (ended) await recoverEndedTurn(deps, gateway, ended, options.signal);
}

/**
 * How a turn ends that its gateway must be kept from repeating: one whose answer is there, of which only its end was
 * not noted, or one that was in flight in too many deaths. Null for all others.
 */
async function endDue(deps: TurnDeps, gateway: Gateway, turn: PendingTurn, signal: AbortSignal): Promise<TurnEnd | null> {
  const { recovery, isHeldOpen, signs } = await gateway.turns.readBack(turn, signal);
  await recordSigns(deps, turn, signs);
  if (recovery.kind === 'finished') return isHeldOpen ? endOfOutcome({ ...recovery, kind: 'completed' }) : null;
  const hasEnded = recovery.kind === 'failed' || recovery.kind === 'cancelled';
  return hasEnded || turn.deaths < FATAL_DEATHS ? null : failedEnd('gateway_crashed');
}
