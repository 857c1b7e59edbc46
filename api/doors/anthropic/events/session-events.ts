import type { SessionTurn } from '../../../../database/messages/session-turns.ts';
import type { Step } from '../../../../domain/steps.ts';
import { eventId } from '../ids.ts';
import type { EventKind } from '../ids.ts';

/** An event of a session, as its client reads it. */
export interface SessionEvent {
  id: string;
  type: string;
  /** Null: it waits for an earlier turn. */
  processed_at: string | null;
  [field: string]: unknown;
}

const text = (said: string) => [{ type: 'text', text: said }];

/**
 * The events of a turn so far, in order. They are made of what is stored of it, so that a list and every stream have the same
 * ones, under the same ids.
 */
export function eventsOf(turn: SessionTurn, steps: readonly Step[]): SessionEvent[] {
  const { replyId, said, isWaiting, createdAtMs } = turn;
  const at = new Date(createdAtMs).toISOString();
  const event = (kind: EventKind, type: string, time: string | null, fields: object = {}): SessionEvent => ({
    id: eventId(replyId, kind),
    type,
    ...fields,
    processed_at: time,
  });
  const message = () => event('message', 'agent.message', endOf(turn), { content: text(turn.content) });
  if (said === null) return turn.status === 'completed' ? [message()] : [];
  const asked = event('user', 'user.message', isWaiting ? null : at, { content: text(said) });
  if (isWaiting) return [asked];
  const begun = [asked, event('running', 'session.status_running', at), ...stepEvents(turn, steps)];
  if (turn.status === 'pending') return begun;
  const idle = event('idle', 'session.status_idle', endOf(turn), { stop_reason: stopReason(turn), stop_details: null });
  if (turn.status === 'completed') return [...begun, message(), idle];
  if (turn.status === 'cancelled') return [...begun, event('interrupt', 'user.interrupt', endOf(turn)), idle];
  return [...begun, event('error', 'session.error', endOf(turn), { error: errorOf(turn) }), idle];
}

function endOf({ endedAtMs, createdAtMs }: SessionTurn): string {
  return new Date(endedAtMs ?? createdAtMs).toISOString();
}

/** Calls may run side by side, so their ends are sorted among their beginnings. */
function stepEvents({ replyId }: SessionTurn, steps: readonly Step[]): SessionEvent[] {
  const events = steps.flatMap(({ stepId, name, input, output, isError, startedAt, endedAt }): SessionEvent[] => {
    const own = stepId.slice('step_'.length);
    const id = eventId(replyId, `use${own}`);
    const use = {
      id,
      type: 'agent.tool_use',
      name,
      input: inputOf(input),
      evaluated_permission: 'allow',
      processed_at: startedAt,
    };
    if (endedAt === null) return [use];
    const answer = { tool_use_id: id, content: text(output ?? ''), is_error: isError, processed_at: endedAt };
    return [use, { id: eventId(replyId, `result${own}`), type: 'agent.tool_result', ...answer }];
  });
  return events.toSorted((one, other) => Date.parse(one.processed_at ?? '') - Date.parse(other.processed_at ?? ''));
}

/** The arguments as an object; those that were cut are no JSON any more. */
function inputOf(input: string | null): object {
  try {
    const value: unknown = JSON.parse(input ?? '{}');
    return typeof value === 'object' && value !== null ? value : { input };
  } catch {
    return { input };
  }
}

function stopReason({ status, errorReason }: SessionTurn): { type: string } {
  if (status !== 'failed') return { type: 'end_turn' };
  return { type: errorReason === 'budget_reached' ? 'budget_reached' : 'retries_exhausted' };
}

function errorOf({ errorReason, errorMessage }: SessionTurn): object {
  const types: Record<string, string> = { model_error: 'model_request_failed_error', budget_reached: 'billing_error' };
  const type = types[errorReason ?? ''] ?? 'unknown_error';
  return { type, message: errorMessage ?? '', retry_status: { type: 'exhausted' } };
}
