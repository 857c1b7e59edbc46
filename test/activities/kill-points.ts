import { MockActivityEnvironment } from '@temporalio/testing';
import { createActivities } from '../../activities/create-activities.ts';
import type { Activities } from '../../activities/create-activities.ts';
import type { StepDeps } from '../../activities/steps/step-deps.ts';
import type { RuntimeDriver } from '../../runtime/driver.ts';

export type StepName =
  | 'startInstance'
  | 'stopInstance'
  | 'restartInstance'
  | 'applyContent'
  | 'destroyInstance'
  | 'sleepInstance'
  | 'vacateInstance'
  | 'moveInstance';

/** Where a step touches the runtime: looks that are repeated any number of times do not count. */
const COUNTED = new Set<PropertyKey>([
  'ensureRunning',
  'writeConfig',
  'stop',
  'suspend',
  'resume',
  'destroy',
  'putFiles',
  'removePaths',
  'replaceSkills',
  'endpoint',
  'replaceState',
]);

class Killed extends Error {}

interface KillPoint {
  /** Counted from 1. */
  call: number;
  /** Whether the call itself still has its effect. */
  after: boolean;
}

/** A driver whose caller dies at its nth call, as a worker that is killed there would. */
function dyingDriver(driver: RuntimeDriver, { call, after }: KillPoint, onKill: () => void): RuntimeDriver {
  let count = 0;
  return new Proxy(driver, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== 'function') return value;
      return (...args: unknown[]): unknown => {
        const isIt = COUNTED.has(name) && (count += 1) === call;
        if (!isIt) return Reflect.apply(value, target, args);
        onKill();
        if (!after) throw new Killed();
        return Promise.resolve(Reflect.apply(value, target, args)).then(() => {
          throw new Killed();
        });
      };
    },
  });
}

/** Runs one activity outside Temporal, as one attempt of it. */
export function attempt<T>(work: () => Promise<T>): Promise<T> {
  return new MockActivityEnvironment({ attempt: 1 }).run(work);
}

interface Options {
  deps: StepDeps;
  step: StepName;
  input: Parameters<Activities[StepName]>[0];
}

/**
 * Kills a step before and after each of its calls of the runtime in turn, each time in a new attempt, until it gets to
 * its end. Answers how often it was killed.
 */
export async function surviveKills({ deps, step, input }: Options): Promise<number> {
  for (let kills = 0; ; kills += 1) {
    let isKilled = false;
    const point = { call: Math.floor(kills / 2) + 1, after: kills % 2 === 1 };
    const driver = dyingDriver(deps.driver, point, () => {
      isKilled = true;
    });
    const activities = createActivities({ ...deps, driver });
    const run = attempt(() => activities[step](input));
    await run.catch(() => undefined);
    if (isKilled) continue;
    await run;
    return kills;
  }
}
