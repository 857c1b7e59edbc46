import { beginBreakdown } from '../database/instances/lifecycle/begin-breakdown.ts';
import type { Breakdown } from '../database/instances/lifecycle/begin-breakdown.ts';
import { noteInstance } from '../database/instances/note-instance.ts';
import { noteRefusal } from '../database/instances/note-refusal.ts';
import type { Refusal } from '../database/instances/note-refusal.ts';
import { runTransaction } from '../database/run-transaction.ts';
import type { InstanceNote } from '../domain/failures.ts';
import type { GatewayVerdict, RefusalSign } from '../domain/gateway-verdict.ts';
import { AGENT_DATABASE, STATE_DATABASE } from '../runtime/gateway/gateway-errors.ts';
import type { RefusalReason } from '../runtime/gateway/turn-results.ts';
import { endTurnFirst } from './end-turns.ts';
import type { TurnDeps } from './turn-deps.ts';
import { failedEnd } from './turn-end.ts';

/** The turn that was refused. */
export interface RefusedTurn {
  messageId: string;
  instanceId: string;
  conversationId: string;
}

type ReportDeps = Pick<TurnDeps, 'orm' | 'makeId' | 'clock' | 'log' | 'maxStoredBytes'>;

/** What a refusal says of the gateway process; null when it is about one turn only. */
const SIGNS: Record<RefusalReason, RefusalSign | null> = {
  'cleanup-failed': 'cleanup_failed',
  unsettled: 'unsettled',
  unknown: 'unknown',
  draining: 'draining',
  preparing: 'preparing',
  'start-changed': 'start_changed',
  'input-ended': null,
  archived: null,
  'session-lost': null,
  invalid: null,
  'disk-full': null,
  'agent-damaged': null,
  'state-damaged': null,
};

const PASSES_SOON: readonly RefusalReason[] = ['input-ended', 'start-changed', 'draining', 'archived'];
const SOON_MS = 500;

/** What another process of the gateway would refuse as well: the turn ends, and the instance says why. */
const NOTES: Partial<Record<RefusalReason, Extract<InstanceNote, 'disk_full' | 'agent_damaged'>>> = {
  'disk-full': 'disk_full',
  'agent-damaged': 'agent_damaged',
};

/** How long to wait before a turn that was refused so is brought further. */
export function pauseAfter(why: RefusalReason, { pauses }: Pick<TurnDeps, 'pauses'>): number {
  return PASSES_SOON.includes(why) ? SOON_MS : pauses.brokenMs;
}

/**
 * Reports that this gateway process refused a turn, to the one place that judges gateway processes. A process that is
 * broken is replaced, and the turn waits for the next one; a turn that no process would take ends as `agent_failed`.
 */
export async function reportRefusal(deps: ReportDeps, turn: RefusedTurn, bootId: string, why: RefusalReason): Promise<void> {
  const { instanceId, conversationId, messageId } = turn;
  const verdict = await reportRefusedRun(deps, { instanceId, bootId, conversationId }, why);
  if (verdict === 'end_turn') await endTurnFirst(deps, messageId, failedEnd('agent_failed', NOTES[why]));
}

/** The same for a run that is not a turn, such as a run of a job: `conversationId` is what its refusals are counted for. */
export async function reportRefusedRun(
  deps: ReportDeps,
  run: Omit<Refusal, 'sign'>,
  why: RefusalReason,
): Promise<GatewayVerdict> {
  const { instanceId, bootId } = run;
  const note = NOTES[why];
  if (note) {
    await runTransaction(deps.orm.em, (em) => noteInstance(em, { instanceId, note }));
    return 'end_turn';
  }
  const sign = SIGNS[why];
  if (sign) return reportSign(deps, { ...run, sign });
  if (why === 'state-damaged') await replaceGateway(deps, { instanceId, bootId, failure: 'gateway_damaged' });
  return 'wait';
}

interface Unready {
  instanceId: string;
  bootId: string;
  /** What its readiness check names, where it names anything. */
  failing: readonly string[];
}

/**
 * Reports that a gateway process said once more that it is not ready. For longer than a minute it is replaced, or given
 * up where that would not mend it; the data of one agent is a matter of that agent.
 */
export async function reportNotReady(deps: ReportDeps, { instanceId, bootId, failing }: Unready): Promise<void> {
  if (failing.length > 0 && failing.every((name) => name.startsWith(AGENT_DATABASE)))
    return runTransaction(deps.orm.em, (em) => noteInstance(em, { instanceId, note: 'agent_damaged' }));
  const refusal: Refusal = { instanceId, bootId, conversationId: null, sign: 'not_ready' };
  if ((await runTransaction(deps.orm.em, (em) => noteRefusal(em, refusal))) !== 'restart') return;
  const failure = failing.includes(STATE_DATABASE) ? 'gateway_damaged' : 'gateway_broken';
  await replaceGateway(deps, { instanceId, bootId, failure });
}

/** Reports that this gateway process accepted a turn `forMs` ago and has not begun it. See reportRefusal. */
export async function reportUnbegun(deps: ReportDeps, turn: RefusedTurn, bootId: string, forMs: number): Promise<void> {
  const { instanceId, conversationId, messageId } = turn;
  const verdict = await reportSign(deps, { instanceId, bootId, conversationId, sign: 'not_begun', forMs });
  if (verdict === 'end_turn') await endTurnFirst(deps, messageId, failedEnd('agent_failed'));
}

/**
 * Reports that the connection to a gateway process was closed because it sent more than it may. The instance says so
 * until two minutes without a flood are over; a process that goes on is replaced.
 */
export async function reportFlood(
  deps: ReportDeps,
  { instanceId, bootId }: { instanceId: string; bootId: string },
): Promise<void> {
  await runTransaction(deps.orm.em, (em) => noteInstance(em, { instanceId, note: 'gateway_flood' }));
  await reportSign(deps, { instanceId, bootId, conversationId: null, sign: 'flooding' });
}

/** Reports what was seen of a gateway process, and has it replaced when it is broken. */
export async function reportSign(deps: ReportDeps, refusal: Refusal): Promise<GatewayVerdict> {
  const verdict = await runTransaction(deps.orm.em, (em) => noteRefusal(em, refusal));
  if (verdict === 'restart') {
    const { instanceId, bootId, sign } = refusal;
    deps.log.warn({ instanceId, bootId, sign }, 'a gateway stopped accepting messages');
    await replaceGateway(deps, { instanceId, bootId, failure: sign === 'flooding' ? 'gateway_flood' : 'gateway_broken' });
  }
  return verdict;
}

interface Broken {
  instanceId: string;
  bootId: string;
  failure: Breakdown['failure'];
}

async function replaceGateway({ orm, makeId, clock, log }: ReportDeps, broken: Broken): Promise<void> {
  const begun = await runTransaction(orm.em, (em) => beginBreakdown(em, { ...broken, now: clock(), makeId }));
  if (begun) log.warn(broken, 'replacing a broken gateway');
}
