import { ActivityFailure, ApplicationFailure, isCancellation, TimeoutFailure } from '@temporalio/workflow';
import { isStepFailure, isStepInterruption } from '../domain/failures.ts';
import type { StepFailure } from '../domain/failures.ts';

export type StepOutcome =
  | { kind: 'done' }
  /** It was cancelled because something else is wanted. */
  | { kind: 'cancelled' }
  /** It gave way, which says nothing of the instance. */
  | { kind: 'interrupted' }
  | { kind: 'failed'; failure: StepFailure; epoch: number | null };

/** What an error that a step's activity ended with means. Throws it again when it is about the workflow itself. */
export function outcomeOf(error: unknown): StepOutcome {
  if (isCancellation(error)) return { kind: 'cancelled' };
  if (!(error instanceof ActivityFailure)) throw error;
  const { cause } = error;
  // A worker that died takes its heartbeats with it; another one does the step again.
  if (cause instanceof TimeoutFailure && cause.timeoutType === 'HEARTBEAT') return { kind: 'interrupted' };
  // No worker of its node has taken it: by now it may be another one's.
  if (cause instanceof TimeoutFailure && cause.timeoutType === 'SCHEDULE_TO_START') return { kind: 'interrupted' };
  if (cause instanceof TimeoutFailure) return { kind: 'failed', failure: 'step_timed_out', epoch: null };
  if (!(cause instanceof ApplicationFailure)) return { kind: 'failed', failure: 'unexpected', epoch: null };
  const { type, details } = cause;
  if (isStepInterruption(type)) return { kind: 'interrupted' };
  const [epoch]: unknown[] = details ?? [];
  return {
    kind: 'failed',
    failure: isStepFailure(type) ? type : 'unexpected',
    epoch: typeof epoch === 'number' ? epoch : null,
  };
}
