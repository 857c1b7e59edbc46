import { findSteps } from '../../database/messages/steps.ts';
import type { TurnView } from '../../database/messages/find-turn.ts';
import type { Step } from '../../domain/steps.ts';
import type { ReplyPiece } from '../turn-feed.ts';
import type { FollowedTurn } from '../turn-sender.ts';
import type { ConversationDeps } from './conversation-deps.ts';
import { completedTurn } from './ended-reply.ts';
import type { SentMessage } from './ended-reply.ts';
import { orStillRunning } from './or-still-running.ts';

/** A piece of the reply as it comes, or, last, the turn that has ended with it: the reply is stored then. */
export type ReplyPart = ({ kind: 'text' } & ReplyPiece) | { kind: 'end'; turn: TurnView };

/** A step of the agent that has begun or ended. */
export interface StepPart {
  kind: 'step';
  step: Step;
}

type Deps = Pick<ConversationDeps, 'orm'>;

/** The followed reply in parts. Throws as completedTurn does, and NoReplyError; a turn that has not ended goes on then. */
export async function* streamReply(
  deps: Deps,
  sent: SentMessage,
  turn: FollowedTurn,
  signal: AbortSignal,
): AsyncGenerator<ReplyPart, void, undefined> {
  try {
    for await (const piece of untilAborted(turn.deltas, sent, signal)) yield { kind: 'text', ...piece };
    yield await endOf(deps, sent, turn, signal);
  } finally {
    turn.close();
  }
}

/**
 * The same with the steps of the agent: each when it begins and when it has ended, or only its end. Those that the turn had before
 * it was followed come first, and all of them before the end, however it ends.
 */
export async function* streamWithSteps(
  deps: Deps,
  sent: SentMessage,
  turn: FollowedTurn,
  signal: AbortSignal,
): AsyncGenerator<ReplyPart | StepPart, void, undefined> {
  const told = new Map<string, Step['status']>();
  function* untold(steps: readonly Step[]): Generator<StepPart> {
    for (const step of steps) {
      const before = told.get(step.stepId);
      if (before === 'ended' || before === step.status) continue;
      told.set(step.stepId, step.status);
      yield { kind: 'step', step };
    }
  }
  const stored = () => findSteps(deps.orm.em.fork(), sent.messageId);
  try {
    if (!turn.isNew) yield* untold(await stored());
    for await (const piece of untilAborted(turn.activity, sent, signal))
      if ('step' in piece) yield* untold([piece.step]);
      else yield { kind: 'text', ...piece };
    await orStillRunning(turn.ended, sent, signal);
    yield* untold(await stored());
    yield await endOf(deps, sent, turn, signal);
  } finally {
    turn.close();
  }
}

async function endOf(deps: Deps, sent: SentMessage, turn: FollowedTurn, signal: AbortSignal): Promise<ReplyPart> {
  return { kind: 'end', turn: await completedTurn(deps, sent, await orStillRunning(turn.ended, sent, signal)) };
}

async function* untilAborted<T>(pieces: AsyncIterable<T>, sent: SentMessage, signal: AbortSignal): AsyncGenerator<T> {
  const iterator = pieces[Symbol.asyncIterator]();
  for (;;) {
    const next = await orStillRunning(iterator.next(), sent, signal);
    if (next.done) return;
    yield next.value;
  }
}
