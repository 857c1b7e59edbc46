/**
 * Signs that a gateway process, and not one of its turns, has a fault.
 * - `cleanup_failed`: it says itself that it is broken until it is restarted.
 * - `unsettled`: one of its locks or workers is stuck, which may pass without a restart.
 * - `unknown`: it refused a turn with a text that is not known.
 * - `draining`, `preparing`, `start_changed`: it takes no turns for a reason that should pass soon.
 * - `not_begun`: it accepted a turn and has not begun it, though it has room to run it.
 * - `not_ready`: its own readiness check says that it takes no work.
 * - `tools_closed`: the tools of its agents fail, though turns are answered.
 * - `flooding`: it sent more than it may, so that the connection to it was closed.
 */
export type RefusalSign =
  | 'cleanup_failed'
  | 'unsettled'
  | 'unknown'
  | 'draining'
  | 'preparing'
  | 'start_changed'
  | 'not_begun'
  | 'not_ready'
  | 'tools_closed'
  | 'flooding';

interface Patience {
  /** The least number of refusals. */
  times: number;
  /** From the first to the last of them. */
  spanMs: number;
}

const SOON: Patience = { times: 3, spanMs: 20_000 };
const LATER: Patience = { times: 3, spanMs: 120_000 };

const PATIENCE: Record<RefusalSign, Patience> = {
  cleanup_failed: { times: 1, spanMs: 0 },
  unsettled: SOON,
  unknown: SOON,
  draining: LATER,
  preparing: LATER,
  start_changed: LATER,
  not_begun: LATER,
  not_ready: { times: 3, spanMs: 60_000 },
  tools_closed: SOON,
  flooding: SOON,
};

/** Signs that are about the process as a whole, whatever its conversations do. */
const OF_THE_PROCESS: readonly RefusalSign[] = ['cleanup_failed', 'not_ready', 'tools_closed', 'flooding'];

/** How many turns a gateway runs at once: `maxConcurrent` in its configuration. */
export const GATEWAY_RUNS_AT_ONCE = 8;

/** How often one conversation is refused, while others are answered, before its turn is given up. */
const REFUSALS_OF_ONE_CONVERSATION = 6;

/** What is known of one gateway process when it refuses once more. */
export interface RefusalEvidence {
  sign: RefusalSign;
  /** How often it refused in all conversations together, and from the first to the last time. */
  times: number;
  spanMs: number;
  /** How often it refused the conversation that it refuses now. */
  timesHere: number;
  /** In how many conversations it refused. */
  conversations: number;
  /** Whether it answered a turn of another conversation since it first refused. */
  othersAnswered: boolean;
  /** Turns of other conversations that it was given and did not refuse. */
  othersInFlight: number;
}

/** `restart`: the process is broken. `end_turn`: the fault lies in this conversation. `wait`: not clear yet. */
export type GatewayVerdict = 'restart' | 'end_turn' | 'wait';

/**
 * Judges a gateway process by its refusals: broken when it refuses long enough in several conversations, or in the only
 * one that there is. When it refuses one conversation and answers others, that conversation has the fault.
 */
export function judgeGateway(evidence: RefusalEvidence): GatewayVerdict {
  const { sign, times, spanMs, timesHere, conversations, othersAnswered, othersInFlight } = evidence;
  const patience = PATIENCE[sign];
  if (times < patience.times || spanMs < patience.spanMs) return 'wait';
  if (sign === 'not_begun' && othersInFlight >= GATEWAY_RUNS_AT_ONCE) return 'wait';
  if (OF_THE_PROCESS.includes(sign) || conversations > 1) return 'restart';
  // It stands in the conversation itself, where the next process would find it again.
  if (sign === 'start_changed') return 'end_turn';
  if (!othersAnswered && othersInFlight === 0) return 'restart';
  if (othersAnswered && timesHere >= REFUSALS_OF_ONE_CONVERSATION) return 'end_turn';
  // Whether the turns of other conversations complete tells if this conversation or the process is at fault. They may run for long.
  return spanMs < LATER.spanMs ? 'wait' : 'end_turn';
}

const HOUR_MS = 60 * 60_000;
const RESTARTS_PER_HOUR = 3;
const RESTART_PAUSE_MS = 2 * 60_000;

/**
 * What follows when a gateway is broken once more: a restart, at most one in two minutes and three in an hour, or giving
 * up. `breakdowns` are the moments at which it was found broken, the present one included.
 */
export function afterBreakdown(breakdowns: readonly Date[], now: Date): { recent: Date[]; pauseMs: number; giveUp: boolean } {
  const recent = breakdowns.filter((at) => now.getTime() - at.getTime() < HOUR_MS);
  const before = recent.at(-2);
  const pauseMs = before ? Math.max(0, before.getTime() + RESTART_PAUSE_MS - now.getTime()) : 0;
  return { recent, pauseMs, giveUp: recent.length > RESTARTS_PER_HOUR };
}
