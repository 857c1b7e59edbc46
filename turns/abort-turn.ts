import { setTimeout as sleep } from 'node:timers/promises';
import { clearAbortDue, findAbortDue, listAbortDue } from '../database/messages/abort-due.ts';
import type { AbortDue } from '../database/messages/abort-due.ts';
import { abortTurn, sendTurn, turnKey } from '../runtime/openclaw/conversation/agent-turn.ts';
import type { GatewayClient } from '../runtime/openclaw/wire/gateway-client.ts';
import { readHistory } from '../runtime/openclaw/conversation/gateway-history.ts';
import { decideRecovery, isHeldOpen, rerunAtWork, willRerun } from '../runtime/openclaw/conversation/recovery.ts';
import { sessionKeyOf } from '../runtime/openclaw/conversation/session-key.ts';
import type { TurnDeps } from './turn-deps.ts';

type AbortDeps = Pick<TurnDeps, 'orm' | 'turnTimeoutMs' | 'log'>;

/** A turn that was just taken up is aborted as soon as it is at work, which takes a moment. */
const ABORT_TRIES = 15;
const ABORT_PAUSE_MS = 200;
/** A frame that was on its way when its turn was ended has arrived by then, or never will. */
const FRAME_SECONDS = 60;

/** Has the gateway abort every turn of this instance that we ended first, and takes the mark off those that have stopped. */
export async function abortDue(deps: AbortDeps, client: GatewayClient, instanceId: string, signal: AbortSignal): Promise<void> {
  const turns = await listAbortDue(deps.orm.em.fork(), instanceId);
  await Promise.all(turns.map((turn) => abortEndedTurn(deps, client, turn, signal)));
}

/** The same for one turn; nothing when it is not marked. */
export async function abortDueTurn(
  deps: AbortDeps,
  client: GatewayClient,
  messageId: string,
  signal: AbortSignal,
): Promise<void> {
  const turn = await findAbortDue(deps.orm.em.fork(), messageId);
  if (turn) await abortEndedTurn(deps, client, turn, signal);
}

/**
 * Aborts what runs of a turn that we ended, and takes the mark off once the gateway shows that nothing does: true then.
 * A failure leaves the mark, for the next try.
 */
export async function abortEndedTurn(
  deps: AbortDeps,
  client: GatewayClient,
  turn: AbortDue,
  signal: AbortSignal,
): Promise<boolean> {
  try {
    const key = turnKey(turn.messageId, turn.attempt);
    const sessionKey = sessionKeyOf(turn);
    await abortTurn(client, { sessionKey, key });
    const history = await readHistory(client, { sessionKey, keys: [key], signal });
    const recovery = decideRecovery(history, key);
    const rerun = rerunAtWork(history, key);
    if (rerun !== null) await abortTurn(client, { sessionKey, key: rerun });
    if (rerun !== null || recovery.kind === 'running' || recovery.kind === 'wait') return false;
    const isItsGateway = turn.bootId === client.bootId;
    const mayStillArrive = recovery.kind === 'resend-same' && isItsGateway && turn.endedSecondsAgo < FRAME_SECONDS;
    if (mayStillArrive || isHeldOpen(history, key)) return false;
    await clearAbortDue(deps.orm.em.fork(), turn.messageId);
    return true;
  } catch (err) {
    signal.throwIfAborted();
    // A gateway answers nothing about an agent that it does not know any more.
    if (turn.agentIsRemoved && client.isOpen()) await clearAbortDue(deps.orm.em.fork(), turn.messageId);
    deps.log.debug({ err, messageId: turn.messageId }, 'could not abort an ended turn yet');
    return false;
  }
}

/**
 * For a gateway process that has just been started: a turn that we ended, but that its predecessor left behind, would
 * be run again under another id. Taking it up under its own key before that, and aborting it at once, prevents it.
 */
export async function takeUpEndedTurn(
  deps: AbortDeps,
  client: GatewayClient,
  turn: AbortDue,
  signal: AbortSignal,
): Promise<void> {
  if (turn.agentIsDeleted) return clearAbortDue(deps.orm.em.fork(), turn.messageId);
  const key = turnKey(turn.messageId, turn.attempt);
  const sessionKey = sessionKeyOf(turn);
  const history = await readHistory(client, { sessionKey, keys: [key], signal });
  const recovery = decideRecovery(history, key);
  if (willRerun(history, key)) {
    const { gatewayAgentId: agentId, text: message, saidAtMs, traceId } = turn;
    const saidAt = new Date(saidAtMs);
    const timeoutSeconds = Math.ceil(deps.turnTimeoutMs / 1_000);
    await sendTurn(client, { key, agentId, sessionKey, message, saidAt, traceId, timeoutSeconds }, { signal });
    for (let tries = 1; tries <= ABORT_TRIES && !(await abortEndedTurn(deps, client, turn, signal)); tries += 1)
      await sleep(ABORT_PAUSE_MS, undefined, { signal });
  } else if (recovery.kind === 'running' || rerunAtWork(history, key) !== null) {
    await abortEndedTurn(deps, client, turn, signal);
  } else if (recovery.kind !== 'wait' && !isHeldOpen(history, key)) {
    // What its predecessor never had, or never began, nobody begins now.
    await clearAbortDue(deps.orm.em.fork(), turn.messageId);
  }
}
