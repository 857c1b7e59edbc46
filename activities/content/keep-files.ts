import { setTimeout as sleep } from 'node:timers/promises';
import { findKeptPaths, keepSeenFiles } from '../../database/content/seen-files.ts';
import { runTransaction } from '../../database/run-transaction.ts';
import { SHOWN_FILES } from '../../domain/agents/workspace-files.ts';
import type { Attempt } from '../steps/run-step.ts';
import type { StepDeps } from '../steps/step-deps.ts';

/** For all agents together: a stop must not wait for long. */
const KEEPING_MS = 10_000;

/**
 * Keeps what is in the workspaces of the agents, to be shown while their gateway is away. Nothing of it is ever written
 * back. A gateway that cannot say is no reason not to stop it.
 */
export async function keepFiles(deps: StepDeps, attempt: Attempt): Promise<void> {
  const { driver, log } = deps;
  const { instanceId, runtimeId, signal } = attempt;
  if ((await driver.inspect(runtimeId)).status !== 'running') return;
  await attempt.enter('keeping_files');
  const patience = AbortSignal.any([signal, AbortSignal.timeout(KEEPING_MS)]);
  try {
    await Promise.race([keep(deps, attempt, patience), sleep(KEEPING_MS, undefined, { signal })]);
  } catch (err) {
    signal.throwIfAborted();
    log.debug({ err, instanceId }, 'the files of the agents could not be read from the gateway and stored');
  }
}

async function keep(
  { orm, connections, clock }: StepDeps,
  { instanceId, runtimeId, call }: Attempt,
  patience: AbortSignal,
): Promise<void> {
  const gateway = await connections.get(runtimeId, patience);
  for (const { agentId, gatewayAgentId, paths } of await findKeptPaths(orm.em.fork(), instanceId)) {
    if (patience.aborted) return;
    const seen = await gateway.files.read({ agentId: gatewayAgentId, paths, limits: SHOWN_FILES });
    const kept = { instanceId, epoch: call.epoch, agentId, ...seen, now: clock() };
    await runTransaction(orm.em, (em) => keepSeenFiles(em, kept));
  }
}
