import {
  condition,
  defineSignal,
  makeContinueAsNewFunc,
  proxyActivities,
  setCurrentDetails,
  setHandler,
} from '@temporalio/workflow';
import type { Activities } from '../activities/create-activities.ts';
import { TASK_QUEUES } from '../domain/temporal/task-queues.ts';
import { PAUSE_SIGNAL, RESUME_SIGNAL } from '../domain/temporal/workflow-ids.ts';

const pause = defineSignal(PAUSE_SIGNAL);
const resume = defineSignal(RESUME_SIGNAL);

const { moveSome } = proxyActivities<Pick<Activities, 'moveSome'>>({
  taskQueue: TASK_QUEUES.maintenance,
  startToCloseTimeout: '1 minute',
  retry: { initialInterval: '1 second', backoffCoefficient: 2, maximumInterval: '30 seconds' },
  summary: 'move some',
});

const LOOK_MS = 2_000;
const LOOKS_OF_A_RUN = 300;

export interface FleetMove {
  /** The name of a node, or a kind of driver. */
  from: string;
  to: string;
  atOnce: number;
  /** Of the runs before. */
  after?: string;
  asked?: number;
  isPaused?: boolean;
}

/**
 * Moves all instances of nodes to others, a few at once, in the order of their ids; each of them by its own workflow. The signal `pause` lets
 * those that move arrive and asks no more until `resume`; a cancellation likewise ends it. Answers how many were asked.
 */
export async function moveInstances({ from, to, atOnce, ...before }: FleetMove): Promise<number> {
  let { after = '', asked = 0, isPaused = false } = before;
  setHandler(pause, () => {
    isPaused = true;
  });
  setHandler(resume, () => {
    isPaused = false;
  });
  for (let looks = 0; looks < LOOKS_OF_A_RUN; looks += 1) {
    const some = await moveSome({ from, to, after, atOnce: isPaused ? 0 : atOnce });
    ({ after } = some);
    asked += some.asked;
    const state = isPaused ? 'Paused. ' : some.hasNoNode ? `No worker of ${to} lives. ` : '';
    setCurrentDetails(`${state}From ${from} to ${to}: ${asked} were asked to move, ${some.moving} are moving.`);
    if (some.isLast && some.moving === 0) return asked;
    await condition(() => false, LOOK_MS);
  }
  return goOn({ from, to, atOnce, after, asked, isPaused });
}

const goOn = makeContinueAsNewFunc<typeof moveInstances>();
