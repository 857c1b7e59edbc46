import type { FinishReason } from '../../domain/turn.ts';

/** How a turn ended. */
export type TurnOutcome =
  | { kind: 'completed'; text: string; finishReason: FinishReason }
  | { kind: 'failed'; reason: 'model_error' | 'agent_failed' | 'turn_timeout'; message: string }
  | { kind: 'cancelled'; text: string };

/** Why a gateway did not carry a turn out, though the turn itself did not fail. */
export type RefusalReason =
  /** The key belongs to a turn of an earlier gateway process that never began: send again with the next key. */
  | 'input-ended'
  /** The gateway is about to end. */
  | 'draining'
  /** The gateway's own re-run of this turn came first: read the history until it shows. */
  | 'start-changed'
  /** The gateway process is broken until it is restarted. */
  | 'cleanup-failed'
  /** A lock, a worker or a queue of the process is stuck, which may pass without a restart. */
  | 'unsettled'
  /** The gateway still inspects the agent's data. */
  | 'preparing'
  /** The data of the agent, or what all agents share, cannot be read: another process would refuse as well. */
  | 'agent-damaged'
  | 'state-damaged'
  | 'disk-full'
  | 'archived'
  /** The gateway has given the conversation up after its own attempts to recover it. */
  | 'session-lost'
  /** The request itself is not taken. */
  | 'invalid'
  | 'unknown';

/** What is known once a turn has ended, or was refused, which is never the turn's end. */
export type TurnResult =
  | { kind: 'done'; outcome: TurnOutcome }
  | { kind: 'refused'; why: RefusalReason; message: string; retryAfterMs?: number };

export interface SendOptions {
  /** How long the run may take. */
  timeoutSeconds: number;
  /** Ends the wait for the gateway's first answer; the turn goes on. */
  signal?: AbortSignal;
  /**
   * Gets how the turn ended, or that the gateway refused it after all, from the gateway's second answer. Only after
   * `accepted`, once, and never when the connection goes away before. Must not throw. A turn that was sent again to a
   * new gateway process may fail under its own key because the gateway's repetition of it came first: then the history
   * tells (decideRecovery), and the same goes for the `error` event of its run.
   */
  onResult?: (result: TurnResult) => void;
}

/**
 * `accepted`: it runs or waits in the gateway's queue. `in-flight`: this key does already, and its end shows in events
 * only. `lost`: no answer, it may run or not. A refused turn has not ended, and did not run.
 */
export type SendResult = { kind: 'accepted' } | { kind: 'in-flight' } | { kind: 'lost' } | TurnResult;

export type ClosedSession = Extract<RefusalReason, 'archived' | 'session-lost'>;

/** Whether a turn was refused because of what became of its conversation, which we can mend. */
export function isClosedSession(why: RefusalReason): why is ClosedSession {
  return why === 'archived' || why === 'session-lost';
}

/** What to do about a turn that was handed to a gateway and whose end was not seen. */
export type Recovery =
  | { kind: 'finished'; text: string; finishReason: FinishReason }
  | Extract<TurnOutcome, { kind: 'cancelled' | 'failed' }>
  /** It is at work under this run id; its events tell the rest. */
  | { kind: 'running'; runKey: string; textSoFar: string; hasBegun: boolean }
  /** The gateway never had it, or waits to repeat it: send it with the key that it has. */
  | { kind: 'resend-same' }
  /** The gateway has spent the key and did not begin: send it with the next one. */
  | { kind: 'resend-new' }
  /** The gateway is about to repeat it, under an id that does not show yet: read the history again in a moment. */
  | { kind: 'wait' };
