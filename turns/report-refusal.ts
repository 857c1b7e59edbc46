import { beginBreakdown } from '../database/queries/begin-breakdown.ts';
import { noteInstance } from '../database/queries/note-instance.ts';
import { noteRefusal } from '../database/queries/note-refusal.ts';
import type { Refusal } from '../database/queries/note-refusal.ts';
import { runTransaction } from '../database/run-transaction.ts';
import type { InstanceNote } from '../domain/failures.ts';
import type { GatewayVerdict, RefusalSign } from '../domain/gateway-verdict.ts';
import type { RefusalReason } from '../runtime/openclaw/turn-outcome.ts';
import { endTurnFirst } from './end-turns.ts';
import type { TurnDeps } from './turn-deps.ts';
import { failedEnd } from './turn-end.ts';

/** The turn that was refused. */
export interface RefusedTurn {
  messageId: string;
  instanceId: string;
  conversationId: string;
}

type ReportDeps = Pick<TurnDeps, 'orm' | 'makeId' | 'clock' | 'log'>;

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

/** What another process of the gateway would refuse as well: the turn ends, and the instance says why. */
const NOTES: Partial<Record<RefusalReason, Extract<InstanceNote, 'disk_full' | 'agent_damaged'>>> = {
  'disk-full': 'disk_full',
  'agent-damaged': 'agent_damaged',
};

/** What a refusal says of the gateway process; null when it is about one turn only. */
export function signOf(why: RefusalReason): RefusalSign | null {
  return SIGNS[why];
}

/**
 * Reports that this gateway process refused a turn, to the one place that judges gateway processes. A process that is
 * broken is replaced, and the turn waits for the next one; a turn that no process would take ends as `agent_failed`.
 */
export async function reportRefusal(deps: ReportDeps, turn: RefusedTurn, bootId: string, why: RefusalReason): Promise<void> {
  const { instanceId, conversationId, messageId } = turn;
  const note = NOTES[why];
  if (note) {
    await noteInstance(deps.orm.em.fork(), { instanceId, note });
    await endTurnFirst(deps, messageId, failedEnd('agent_failed', note));
    return;
  }
  if (why === 'state-damaged') return replaceGateway(deps, { instanceId, bootId, failure: 'gateway_damaged' });
  const sign = signOf(why);
  if (sign === null) return;
  const verdict = await reportSign(deps, { instanceId, bootId, conversationId, sign });
  if (verdict === 'end_turn') await endTurnFirst(deps, messageId, failedEnd('agent_failed'));
}

/** Reports what was seen of a gateway process, and has it replaced when it is broken. */
export async function reportSign(deps: ReportDeps, refusal: Refusal): Promise<GatewayVerdict> {
  const verdict = await runTransaction(deps.orm.em, (em) => noteRefusal(em, refusal));
  if (verdict === 'restart') {
    const { instanceId, bootId, sign } = refusal;
    deps.log.warn({ instanceId, bootId, sign }, 'a gateway takes no messages any more');
    await replaceGateway(deps, { instanceId, bootId, failure: 'gateway_broken' });
  }
  return verdict;
}

interface Broken {
  instanceId: string;
  bootId: string;
  failure: 'gateway_broken' | 'gateway_damaged';
}

async function replaceGateway({ orm, makeId, clock, log }: ReportDeps, broken: Broken): Promise<void> {
  const begun = await runTransaction(orm.em, (em) => beginBreakdown(em, { ...broken, now: clock(), makeId }));
  if (begun) log.warn(broken, 'a broken gateway is taken out of use');
}
