import { askMove, countMoving, findMovable } from '../../database/moves/ask-move.ts';
import { runTransaction } from '../../database/run-transaction.ts';
import { runRetryable } from '../steps/run-retryable.ts';
import type { StepDeps } from '../steps/step-deps.ts';

export interface MoveSome {
  from: string;
  to: string;
  /** The last instance that was asked. */
  after: string;
  /** So many may move at once. */
  atOnce: number;
}

export interface MovedSome {
  after: string;
  /** Were asked now. */
  asked: number;
  /** Move at present. */
  moving: number;
  /** No instance is left that was not asked. */
  isLast: boolean;
  /** No worker lives where they are to move. */
  hasNoNode: boolean;
}

/** Asks the next instances of a fleet to move, as many as may move at once. Each is asked once: one that cannot be moved stays where it is. */
export function moveSome(deps: StepDeps, { from, to, after, atOnce }: MoveSome): Promise<MovedSome> {
  const { orm, makeId } = deps;
  return runRetryable(deps, 'moveSome', async () => {
    const moving = await countMoving(orm.em.fork());
    const room = Math.max(0, atOnce - moving);
    const found = await findMovable(orm.em.fork(), { from, after, limit: room + 1 });
    const answer: MovedSome = { after, asked: 0, moving, isLast: found.length <= room, hasNoNode: false };
    for (const instanceId of found.slice(0, room)) {
      const asked = await runTransaction(orm.em, (em) => askMove(em, { instanceId, to, newRuntimeId: makeId('run') }));
      if (asked === 'no_node') return { ...answer, isLast: false, hasNoNode: true };
      answer.after = instanceId;
      if (asked !== 'asked') continue;
      answer.asked += 1;
      answer.moving += 1;
    }
    return answer;
  });
}
