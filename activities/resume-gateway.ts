import type { Attempt } from './steps/run-step.ts';
import type { StepDeps } from './steps/step-deps.ts';
import { waitUntilReady } from '../runtime/engine.ts';
import { findPin } from '../database/nodes/note-make.ts';

/** From the resume on until it answers: what takes longer is a cold start. */
const RESUME_MS = 3_000;
/** On a starved machine, where a cold start takes minutes. */
const STARVED_RESUME_MS = 30_000;

/**
 * Lets the gateway of an instance go on, if it is suspended. One that does not answer in time, or that is to be replaced, is
 * ended: the start makes a new one then. Answers whether it goes on.
 */
export async function resumeSuspended(deps: StepDeps, attempt: Attempt): Promise<boolean> {
  const { driver, connections, log } = deps;
  const { instanceId, runtimeId, call, signal } = attempt;
  if ((await driver.inspect(runtimeId)).status !== 'suspended') return false;
  await attempt.enter('resuming_gateway');
  // Those from before are silent for so long that the gateway may have closed them.
  connections.close(runtimeId);
  if ((await isAsWanted(deps, attempt)) && (await answers(deps, attempt))) return true;
  signal.throwIfAborted();
  log.info({ instanceId }, 'a suspended gateway was ended instead of resumed, because it did not answer in time or is outdated');
  connections.close(runtimeId);
  await driver.stop(runtimeId, { graceMs: 0 }, call);
  return false;
}

/** Nothing has changed that needs a new process. */
async function isAsWanted({ orm, driver }: StepDeps, { runtimeId, step }: Attempt): Promise<boolean> {
  const { restartGeneration, appliedRestartGeneration } = step.row;
  if (restartGeneration > appliedRestartGeneration) return false;
  return (await findPin(orm.em.fork(), runtimeId)) === (await driver.pin());
}

async function answers(deps: StepDeps, { runtimeId, call, signal, instanceId }: Attempt): Promise<boolean> {
  const { driver, connections, load, resumeMs = RESUME_MS, log } = deps;
  const patienceMs = load.isStarved() ? STARVED_RESUME_MS : resumeMs;
  const patience = AbortSignal.timeout(patienceMs);
  const endpoint = (await driver.resume(runtimeId, call)) ? await driver.endpoint(runtimeId) : null;
  if (!endpoint) return false;
  try {
    await waitUntilReady(endpoint, {
      signal: AbortSignal.any([signal, patience]),
      deadlineMs: patienceMs,
      isAlive: async () => (await driver.inspect(runtimeId)).status === 'running',
      exitOf: () => driver.exitOf(runtimeId),
    });
    await connections.get(runtimeId, AbortSignal.any([signal, patience]));
    return true;
  } catch (err) {
    signal.throwIfAborted();
    log.debug({ err, instanceId }, 'a resumed gateway did not answer');
    return false;
  }
}
