import type { FinishReason } from '../../../domain/turn.ts';
import type { RefusalReason, TurnResult } from '../../gateway/turn-results.ts';
import type { GatewayEvent, ProviderFailure } from '../wire/gateway-events.ts';

const REFUSALS: ReadonlyArray<readonly [RefusalReason, RegExp]> = [
  ['draining', /gateway is draining|during gateway (restart|suspen)|gateway-restarting|gateway-suspen/i],
  ['start-changed', /SESSION_WORK_START_(CHANGED|INVALIDATED)|changed while starting work/],
  ['input-ended', /pending input ownership ended/i],
  ['cleanup-failed', /(database|native close and lease|operation and) cleanup failed|cleanup is uncertain, restart/i],
  ['disk-full', /database or disk is full|ENOSPC|no space left on device/i],
  ['state-damaged', /state database .*(quarantined|malformed)|state-database\b.*(quarantined|inspection-failed)/i],
  ['agent-damaged', /is quarantined after integrity|database disk image is malformed|file is not a database|newer schema/i],
  ['agent-damaged', /agent-database-(ownership-mismatch|inspection-failed)|Refused agent |Sessions remain unavailable\. Stop/],
  ['preparing', /agent-database-inspection-pending|Sessions remain unavailable until/],
  ['session-lost', /ended during restart recovery|after restart recovery exhaustion|restart recovery is tombstoned/i],
  ['start-changed', /recovery claim changed before agent adoption/i],
  ['unsettled', /cleanup is pending|another OpenClaw process owns|worker queue capacity reached|work scope is closed/i],
  ['unsettled', /(execution|worker|maintenance|read) admission is closed|lost its native owner|native generation is retiring/i],
  ['archived', /session .* is archived/i],
];

const RUN_TIMED_OUT = /^request timed out before a response was generated|^request timed out$/i;
const AGENT_FAILED = /agent run failed/i;
const MODEL_FAILED =
  /\bLLM\b|AI service|\bprovider\b|\bmodel\b|request (failed|rejected)|overloaded|rate.?limit|context (overflow|limit)|billing|API key/i;

const STOPPED_BY_US = ['rpc', 'stop', 'aborted'];
const STOPPED_BY_GATEWAY = ['restart', 'superseded'];

/** What the gateway's text says it refused for, or null when it speaks of something else. */
export function refusalIn(text: string): RefusalReason | null {
  return REFUSALS.find(([, pattern]) => pattern.test(text))?.[0] ?? null;
}

/**
 * What a failure that the gateway reports means. A provider failure is one for which it states what the provider did
 * (`failure`); where it gives nothing but a sentence, that is recognised by the words of OpenClaw's own list.
 */
export function resultOfFailure(text: string, failure: ProviderFailure | null = null): TurnResult {
  const refusal = refusalIn(text);
  if (refusal) return { kind: 'refused', why: refusal, message: text };
  if (RUN_TIMED_OUT.test(text)) return failed('turn_timeout', text);
  if (failure && (failure.failoverReason !== null || failure.httpStatus !== null)) return failed('model_error', text);
  return failed(!AGENT_FAILED.test(text) && MODEL_FAILED.test(text) ? 'model_error' : 'agent_failed', text);
}

/** What a run means that ended before its answer was whole, for a reason other than a failure. */
export function resultOfStop(stopReason: string | null, text: string): TurnResult {
  if (stopReason !== null && STOPPED_BY_GATEWAY.includes(stopReason))
    return { kind: 'refused', why: 'draining', message: `The gateway stopped the run (${stopReason})` };
  if (stopReason !== null && STOPPED_BY_US.includes(stopReason)) return { kind: 'done', outcome: { kind: 'cancelled', text } };
  return failed('turn_timeout', 'The turn ran longer than it may.');
}

/** What an event of a run says about its turn's end; null when the turn goes on. */
export function resultOfEvent(event: GatewayEvent): TurnResult | null {
  switch (event.kind) {
    case 'final':
      return { kind: 'done', outcome: { kind: 'completed', text: event.text, finishReason: finishReasonOf(event.stopReason) } };
    case 'aborted':
      return resultOfStop(event.stopReason, event.text);
    case 'error':
      return resultOfFailure(event.message, event.failure);
    default:
      return null;
  }
}

/** What a gateway's stop reason says about a reply. */
export function finishReasonOf(stopReason: string | null): FinishReason {
  return stopReason === 'length' ? 'length' : 'stop';
}

function failed(reason: 'model_error' | 'agent_failed' | 'turn_timeout', message: string): TurnResult {
  return { kind: 'done', outcome: { kind: 'failed', reason, message } };
}
