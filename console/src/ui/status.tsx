import type { Instance } from '../../../sdk/typescript/src/generated/resources.ts';
import { duration, fromNow } from '../format.ts';

const TRANSITIONS: Record<string, string> = {
  starting: 'starting',
  stopping: 'stopping',
  restarting: 'restarting',
  recovering: 'recovering',
  destroying: 'being deleted',
};

/** The status of an instance as a word with a sign, so that it does not depend on its colour. */
export function Status({ instance }: { instance: Pick<Instance, 'status' | 'transition' | 'sleep'> }) {
  const { status, transition, sleep } = instance;
  const sleeping = sleep && sleep.state !== 'awake' ? sleep.state : null;
  const word = sleeping ?? (transition ? (TRANSITIONS[transition.kind] ?? transition.kind) : status);
  return (
    <span className={`status status-${transition ? 'moving' : status}`}>
      <span className="dot" aria-hidden="true" />
      {word}
    </span>
  );
}

/** No gateway runs, nothing is charged, and a message wakes it. */
export function isAsleep({ sleep }: Pick<Instance, 'sleep'>): boolean {
  return sleep?.state === 'asleep';
}

/** Whether it takes messages: while it restarts its status stays `running` and it does not, and one that sleeps wakes for them. */
export function takesMessages(instance: Pick<Instance, 'status' | 'transition' | 'sleep'>): boolean {
  if (isAsleep(instance) || instance.sleep?.state === 'waking') return true;
  return instance.status === 'running' && instance.transition === null;
}

const STEPS: Record<string, string> = {
  queued: 'It waits for its turn: other instances start before it.',
  draining: 'Running turns get time to end.',
};

/** What an instance is doing, and why, in a sentence. Null where there is nothing to tell. */
export function progressOf(instance: Instance): string | null {
  const { transition, statusReason, status, sleep } = instance;
  if (isAsleep(instance)) {
    const next = sleep?.wakesAt ? ` It wakes ${fromNow(sleep.wakesAt)} for its next cron job.` : '';
    return `It sleeps, and nothing is charged. A message wakes it.${next}`;
  }
  if (transition) {
    const { kind, startedAt, attempt, step } = transition;
    const since = duration(Math.max(0, Date.now() - new Date(startedAt).getTime()));
    const tries = attempt > 1 ? ` This is attempt ${attempt}.` : '';
    const waking = sleep?.state === 'waking' ? 'It wakes up. Messages are answered as soon as it runs.' : null;
    const detail = waking ?? ((step !== null && STEPS[step]) || sentenceOf(kind));
    return `${detail}${tries} ${since} so far.${statusReason ? ` ${statusReason.message}` : ''}`;
  }
  if (status === 'error') return `${statusReason?.message ?? 'It failed.'} Start it again, or read its log.`;
  return statusReason?.message ?? null;
}

function sentenceOf(kind: string): string {
  if (kind === 'starting') return 'The gateway starts. This takes about fifteen seconds.';
  if (kind === 'recovering') return 'The gateway died and is started again; no message is lost.';
  if (kind === 'restarting') return 'The gateway restarts with what was changed.';
  if (kind === 'destroying') return 'The instance and its data are deleted.';
  return 'The gateway stops.';
}
