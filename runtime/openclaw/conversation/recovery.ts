import type { Recovery } from '../../gateway/turn-results.ts';
import type { GatewayHistory, HistoryRow } from './gateway-history.ts';
import { finishReasonOf, resultOfFailure } from './turn-outcome.ts';

const ENDED = ['stop', 'length'];
const NEVER_BEGAN = 'run-failed-before-reply';

/**
 * What became of the turn with this key, which is the newest turn of its conversation that was handed to a gateway.
 * Holds after the gateway died as well as in the process that took the turn.
 */
export function decideRecovery(history: GatewayHistory, key: string): Recovery {
  const { rows, inFlightRun, status } = history;
  const ended = endOf(rows, key);
  if (ended) return ended;
  if (inFlightRun?.runId === key) return { kind: 'running', runKey: key, textSoFar: inFlightRun.text, hasBegun: true };
  const told = endOfRerun(history, key) ?? failureOf(rows, key);
  if (told) return told;
  if (!hasBegun(rows, key)) return recoveryOfUnbegun(history, key);
  if (status !== 'running') return endByStatus(history, key);
  return inFlightRun ? { kind: 'wait' } : { kind: 'resend-same' };
}

/** The runs with which gateways repeated this turn after deaths, oldest first. They are its own under other names. */
export function rerunsOf({ rows }: GatewayHistory, key: string): string[] {
  const start = rows.findIndex((row) => startsRun(row, key));
  if (start < 0) return [];
  const later = rows.slice(start + 1);
  const next = later.findIndex((row) => row.role === 'user' && !row.restartsRun && !startsRun(row, key));
  const own = next < 0 ? later : later.slice(0, next);
  return own.flatMap((row) => (row.restartsRun && row.key !== null ? [row.key.replace(/:user$/, '')] : []));
}

/** The run with which the gateway repeats this turn right now; null when it does not. */
export function rerunAtWork(history: GatewayHistory, key: string): string | null {
  const runId = history.inFlightRun?.runId;
  return runId !== undefined && rerunsOf(history, key).includes(runId) ? runId : null;
}

/**
 * Whether the gateway holds this turn, the newest of its conversation, for unfinished, though its answer may be there: the
 * process died before it noted the end. The next process repeats it, or is about to, until it is aborted.
 */
export function isHeldOpen({ rows, status }: GatewayHistory, key: string): boolean {
  if (status !== 'running' || !hasBegun(rows, key)) return false;
  const newest = rows.findLast((row) => row.role === 'user' && !row.restartsRun && row.key !== null);
  return !newest || startsRun(newest, key);
}

/**
 * Whether a gateway process that has just started is going to repeat this turn, and has not begun. Sending the turn once
 * more with its own key, and aborting it, keeps it from doing so.
 */
export function willRerun(history: GatewayHistory, key: string): boolean {
  return isHeldOpen(history, key) && !history.inFlightRun && rerunsOf(history, key).length === 0;
}

function startsRun(row: HistoryRow, runId: string): boolean {
  return row.role === 'user' && row.key === `${runId}:user`;
}

function answersOf(rows: readonly HistoryRow[], runId: string): HistoryRow[] {
  return rows.filter((row) => row.role === 'assistant' && row.runId === runId && !isTerminalError(row, runId));
}

/** In a long turn the row that began it may lie before the rows that were read. */
function hasBegun(rows: readonly HistoryRow[], runId: string): boolean {
  return rows.some((row) => startsRun(row, runId)) || answersOf(rows, runId).length > 0;
}

function isTerminalError(row: HistoryRow, runId: string): boolean {
  return row.key === `${runId}:terminal-error`;
}

/** An answer or an abort counts, whatever was added behind it: a resend of an ended key leaves a failure there. */
function endOf(rows: readonly HistoryRow[], runId: string): Recovery | null {
  const answers = answersOf(rows, runId);
  const aborted = answers.find((row) => row.aborted);
  if (aborted) return { kind: 'cancelled', text: aborted.text };
  const last = answers.findLast(({ stopReason, callsTool }) => stopReason !== null && ENDED.includes(stopReason) && !callsTool);
  return last ? { kind: 'finished', text: saidIn(answers), finishReason: finishReasonOf(last.stopReason) } : null;
}

/** As the gateway's `chat` events join them, but for a few words right before a tool call, which they may leave out. */
function saidIn(answers: readonly HistoryRow[]): string {
  return answers
    .map(({ text }) => text.trim())
    .filter((text) => text !== '')
    .join('\n\n');
}

/** The newest re-run stands for the turn, and comes before a failure that a resend left under the turn's own key. */
function endOfRerun(history: GatewayHistory, key: string): Recovery | null {
  const runKey = rerunsOf(history, key).at(-1);
  if (runKey === undefined) return null;
  const { rows, inFlightRun, status } = history;
  const ended = endOf(rows, runKey) ?? failureOf(rows, runKey);
  if (ended) return ended;
  if (inFlightRun?.runId === runKey) return { kind: 'running', runKey, textSoFar: inFlightRun.text, hasBegun: true };
  // After one more death it waits to be repeated again, under yet another id.
  return status === 'running' ? { kind: 'wait' } : endByStatus(history, runKey);
}

function failureOf(rows: readonly HistoryRow[], runId: string): Recovery | null {
  const own = rows.filter((row) => row.runId === runId || isTerminalError(row, runId));
  const neverBegan = own.find((row) => row.customType === NEVER_BEGAN);
  const failure = own.findLast((row) => isTerminalError(row, runId) || row.stopReason === 'error');
  const timedOut = own.findLast((row) => row.stopReason === 'aborted' && row.errorMessage !== null);
  if (failure) return failed(failure.text || (failure.errorMessage ?? ''));
  if (timedOut) return failed(timedOut.errorMessage ?? '');
  return neverBegan ? failed(neverBegan.text.replace(/^This turn ended before a reply: /, '')) : null;
}

/** A failure that is a refusal of an ending or broken gateway did not end the turn. */
function failed(message: string): Recovery {
  const result = resultOfFailure(message);
  if (result.kind === 'refused') return { kind: 'resend-new' };
  return result.outcome.kind === 'failed' ? result.outcome : { kind: 'wait' };
}

function recoveryOfUnbegun({ pendingInputs, inputReceipts }: GatewayHistory, key: string): Recovery {
  const known = pendingInputs.find(({ runId }) => runId === key);
  if (known?.state === 'cancelled') return { kind: 'cancelled', text: '' };
  if (known?.state === 'interrupted') return { kind: 'resend-new' };
  if (known || inputReceipts.some(({ runId }) => runId === key))
    return { kind: 'running', runKey: key, textSoFar: '', hasBegun: false };
  return { kind: 'resend-same' };
}

/** The conversation rests and no row tells how the run ended. */
function endByStatus({ rows, status, lastRunId }: GatewayHistory, runId: string): Recovery {
  if (lastRunId === runId && status === 'done')
    return { kind: 'finished', text: saidIn(answersOf(rows, runId)), finishReason: 'stop' };
  if (status === 'killed') return { kind: 'cancelled', text: saidIn(answersOf(rows, runId)) };
  if (status === 'timeout') return { kind: 'failed', reason: 'turn_timeout', message: 'The turn ran longer than it may.' };
  return { kind: 'failed', reason: 'agent_failed', message: 'The gateway lost the turn.' };
}
