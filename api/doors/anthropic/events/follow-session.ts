import { ClaudeSession } from '../../../../database/entities/claude-session.ts';
import type { TurnView } from '../../../../database/messages/find-turn.ts';
import { findStepsOf, listSessionTurns } from '../../../../database/messages/session-turns.ts';
import type { SessionPlace, SessionTurn } from '../../../../database/messages/session-turns.ts';
import { watchChanges } from '../../../../database/watch-changes.ts';
import type { Step } from '../../../../domain/steps.ts';
import { orAborted } from '../../../../lib/async/aborted.ts';
import { NoReplyError } from '../../../../turns/conversation/no-reply.ts';
import type { ReplyPiece, StepPiece } from '../../../../turns/turn-feed.ts';
import type { Deps } from '../../../deps.ts';
import type { StreamFrame } from '../../../http/event-stream.ts';
import { eventId } from '../ids.ts';
import { eventsOf } from './session-events.ts';
import type { SessionEvent } from './session-events.ts';

/** Where a stream of a session begins. */
export interface SessionStart {
  /** Behind this turn. */
  number: number;
  /** Without these events. */
  known: ReadonlySet<string>;
}

type FollowDeps = Pick<Deps, 'orm' | 'notifications' | 'turnSender' | 'clock'>;

interface Following {
  place: SessionPlace;
  start: SessionStart;
  /** Whether the text of a reply is sent as it is written, too. */
  withDeltas: boolean;
  signal: AbortSignal;
}

const POLL_MS = 1_000;

/**
 * The events of a session from there on, each as soon as it is known, until the signal aborts or the session is deleted. A turn
 * after the other, so that their order is that of the list.
 */
export async function* followSession(deps: FollowDeps, following: Following): AsyncGenerator<StreamFrame> {
  const { place, start, signal } = following;
  const isRelevant = (payload: string): boolean => payload === place.sessionId;
  const watch = watchChanges(deps.notifications, { channel: 'session', isRelevant, pollMs: POLL_MS, signal });
  let { number } = start;
  try {
    // So that a client knows that it is connected, and sends its message.
    yield { comment: 'connected' };
    while (!signal.aborted) {
      watch.reset();
      const em = deps.orm.em.fork();
      const { turns } = await listSessionTurns(em, place, { beyond: number, order: 'asc', limit: 1 });
      const [turn] = turns;
      if (turn) {
        yield* followTurn(deps, following, turn);
        ({ number } = turn);
        continue;
      }
      if ((await em.count(ClaudeSession, { id: place.sessionId })) === 0) {
        yield deletedFrame(place, deps.clock());
        return;
      }
      await watch.changed();
    }
  } catch (error) {
    // This process stops, or the client has left: the stream ends, and goes on at another process.
    if (!signal.aborted) throw error;
  } finally {
    watch.close();
  }
}

function deletedFrame({ sessionId }: SessionPlace, now: Date): StreamFrame {
  const id = `sevt_${sessionId.slice('sesn_'.length)}_deleted`;
  return frameOf({ id, type: 'session.deleted', processed_at: now.toISOString() });
}

function frameOf(event: SessionEvent): StreamFrame {
  return { id: event.id, event: 'message', data: JSON.stringify(event) };
}

async function* followTurn(deps: FollowDeps, following: Following, found: SessionTurn): AsyncGenerator<StreamFrame> {
  const { orm, turnSender } = deps;
  const { start, withDeltas, signal } = following;
  const { replyId } = found;
  const sent = new Set(start.known);
  const steps = new Map<string, Step>();
  const loadSteps = async (): Promise<void> => {
    for (const step of (await findStepsOf(orm.em.fork(), [replyId])).get(replyId) ?? []) steps.set(step.stepId, step);
  };
  function* untold(turn: SessionTurn): Generator<StreamFrame> {
    for (const event of eventsOf(turn, [...steps.values()])) {
      if (sent.has(event.id)) continue;
      sent.add(event.id);
      yield frameOf(event);
    }
  }
  const followed = turnSender.follow(replyId);
  try {
    // After it is followed: what the agent does from now on is heard.
    await loadSteps();
    // What waits for an earlier turn is not shown before that has ended, and then it does not wait any more.
    const running = { ...found, isWaiting: false };
    yield* untold(running);
    if (found.status !== 'pending') return;
    const deltas = new DeltaFrames(eventId(replyId, 'message'));
    for await (const piece of untilReplaced(followed.activity, signal)) {
      if ('step' in piece) {
        steps.set(piece.step.stepId, piece.step);
        yield* untold(running);
      } else if (withDeltas) yield* deltas.of(piece.text);
    }
    const ended = await orAborted(followed.ended, signal);
    if (!ended || ended.isDeleted) return;
    await loadSteps();
    yield* untold(endedAs(running, ended));
  } finally {
    followed.close();
  }
}

function endedAs(turn: SessionTurn, { status, content, errorReason, errorMessage, endedAt }: TurnView): SessionTurn {
  return { ...turn, status, content, errorReason, errorMessage, endedAtMs: endedAt?.getTime() ?? null };
}

/** What is heard of a turn; a reply that its gateway makes anew is shown when it is complete. */
async function* untilReplaced(
  activity: AsyncIterable<ReplyPiece | StepPiece>,
  signal: AbortSignal,
): AsyncGenerator<ReplyPiece | StepPiece> {
  const iterator = activity[Symbol.asyncIterator]();
  try {
    for (;;) {
      const next = await orAborted(iterator.next(), signal);
      if (next.done) return;
      yield next.value;
    }
  } catch (error) {
    if (!(error instanceof NoReplyError)) throw error;
  }
}

/** The words of a message before it is complete. They are no events: they have no id, and no list has them. */
class DeltaFrames {
  readonly #eventId: string;
  #hasBegun = false;

  constructor(messageId: string) {
    this.#eventId = messageId;
  }

  *of(text: string): Generator<StreamFrame> {
    const preview = { type: 'agent.message', id: this.#eventId };
    if (!this.#hasBegun) yield { event: 'message', data: JSON.stringify({ type: 'event_start', event: preview }) };
    this.#hasBegun = true;
    const delta = { type: 'content_delta', index: 0, content: { type: 'text', text } };
    yield { event: 'message', data: JSON.stringify({ type: 'event_delta', event_id: this.#eventId, delta }) };
  }
}
