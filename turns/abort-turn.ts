import { setTimeout as sleep } from 'node:timers/promises';
import { clearAbortDue, findAbortDue, listAbortDue } from '../database/messages/abort-due.ts';
import type { AbortDue } from '../database/messages/abort-due.ts';
import type { Gateway } from '../runtime/gateway/gateway.ts';
import type { TurnDeps } from './turn-deps.ts';

type AbortDeps = Pick<TurnDeps, 'orm' | 'turnTimeoutMs' | 'log'>;

/** A turn that was just recovered is aborted as soon as it is at work, which takes a moment. */
const ABORT_TRIES = 15;
const ABORT_PAUSE_MS = 200;
/** A frame that was on its way when its turn was ended has arrived by then, or never will. */
const FRAME_SECONDS = 60;

/** Has the gateway abort every turn of this instance that we ended first, and takes the mark off those that have stopped. */
export async function abortDue(deps: AbortDeps, gateway: Gateway, instanceId: string, signal: AbortSignal): Promise<void> {
  const turns = await listAbortDue(deps.orm.em.fork(), instanceId);
  await Promise.all(turns.map((turn) => abortEndedTurn(deps, gateway, turn, signal)));
}

/** The same for one turn; nothing when it is not marked. */
export async function abortDueTurn(deps: AbortDeps, gateway: Gateway, messageId: string, signal: AbortSignal): Promise<void> {
  const turn = await findAbortDue(deps.orm.em.fork(), messageId);
  if (turn) await abortEndedTurn(deps, gateway, turn, signal);
}

/**
 * Aborts what runs of a turn that we ended, and takes the mark off once the gateway shows that nothing does: true then.
 * A failure leaves the mark, for the next try.
 */
export async function abortEndedTurn(deps: AbortDeps, gateway: Gateway, turn: AbortDue, signal: AbortSignal): Promise<boolean> {
  try {
    await gateway.turns.abort(turn);
    const { recovery, rerun, isHeldOpen } = await gateway.turns.readBack(turn, signal);
    if (rerun !== null) await gateway.turns.abort(turn, rerun);
    if (rerun !== null || recovery.kind === 'running' || recovery.kind === 'wait') return false;
    const isItsGateway = turn.bootId === gateway.bootId;
    const mayStillArrive = recovery.kind === 'resend-same' && isItsGateway && turn.endedSecondsAgo < FRAME_SECONDS;
    if (mayStillArrive || isHeldOpen) return false;
    await clearAbortDue(deps.orm.em.fork(), turn.messageId);
    return true;
  } catch (err) {
    signal.throwIfAborted();
    // A gateway answers nothing about an agent that it does not know any more.
    if (turn.agentIsRemoved && gateway.isOpen()) await clearAbortDue(deps.orm.em.fork(), turn.messageId);
    deps.log.debug({ err, messageId: turn.messageId }, 'could not abort an ended turn yet');
    return false;
  }
}

/**
 * For a gateway process that has just been started: a turn that we ended, but that its predecessor left behind, would
 * be run again under another id. Taking it up under its own key before that, and aborting it at once, prevents it.
 */
export async function recoverEndedTurn(deps: AbortDeps, gateway: Gateway, turn: AbortDue, signal: AbortSignal): Promise<void> {
  if (turn.agentIsDeleted) return clearAbortDue(deps.orm.em.fork(), turn.messageId);
  const { recovery, rerun, isHeldOpen, willRerun } = await gateway.turns.readBack(turn, signal);
  if (willRerun) {
    await gateway.turns.send(turn, { timeoutSeconds: Math.ceil(deps.turnTimeoutMs / 1_000), signal });
    for (let tries = 1; tries <= ABORT_TRIES && !(await abortEndedTurn(deps, gateway, turn, signal)); tries += 1)
      await sleep(ABORT_PAUSE_MS, undefined, { signal });
  } else if (recovery.kind === 'running' || rerun !== null) {
    await abortEndedTurn(deps, gateway, turn, signal);
  } else if (recovery.kind !== 'wait' && !isHeldOpen) {
    // No gateway process can begin this turn any more: the one before never had it, or never began it.
    await clearAbortDue(deps.orm.em.fork(), turn.messageId);
  }
}
