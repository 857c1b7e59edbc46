import { clearKillFirst } from '../database/queries/finish-stop.ts';
import { loadGatewayContent } from '../database/queries/gateway-content.ts';
import type { GatewayContentRows } from '../database/queries/gateway-content.ts';
import { publishRunning } from '../database/queries/publish-running.ts';
import { runTransaction } from '../database/run-transaction.ts';
import { afterDeath } from '../domain/lifecycle.ts';
import type { GatewayClient } from '../runtime/openclaw/gateway-client.ts';
import { GatewayDiedError, waitUntilReady } from '../runtime/openclaw/readiness.ts';
import { takeUpTurns } from '../turns/take-up-turns.ts';
import { gatewaySpec } from './gateway-spec.ts';
import { pushContent } from './push-content.ts';
import { orOvertaken, runStep } from './run-step.ts';
import type { Attempt, StepInput } from './run-step.ts';
import { OvertakenError } from './step-failure.ts';
import { turnDepsOf } from './step-deps.ts';
import type { StepDeps } from './step-deps.ts';

/** From the spawn on. */
const READY_MS = 90_000;
/** For a gateway that was spawned by an earlier attempt. */
const LEAST_READY_MS = 10_000;

/**
 * Starts an instance, or brings it back: spawns its gateway or takes up the one that runs, recovers its turns, gives
 * it its content, and then, in one transaction, lets it take messages and opens the meter.
 */
export function startInstance(deps: StepDeps, input: StepInput): Promise<void> {
  return runStep(deps, 'start', input, async (attempt) => {
    const { orm, connections, clock } = deps;
    const { instanceId, runtimeId, signal, step } = attempt;
    // It died too often while it ran.
    if (afterDeath(step.row.deaths, clock()).giveUp) throw new GatewayDiedError(await deps.driver.exitOf(runtimeId));
    await killLostGateway(deps, attempt);
    const content = await loadGatewayContent(orm.em.fork(), instanceId);
    const isNew = await spawn(deps, attempt, content);
    await becomeReady(deps, attempt);
    // At once: three seconds after it is ready the gateway would run interrupted turns again by itself.
    const client = await connections.get(runtimeId, signal);
    await attempt.enter('recovering_turns');
    await recoverTurns(deps, attempt, client);
    await attempt.enter('applying_content');
    await pushContent(deps, attempt, { client, content });
    await publish(deps, attempt, { client, content, isNew });
  });
}

/** A gateway that was given up must not be adopted. */
async function killLostGateway({ orm, driver, connections }: StepDeps, attempt: Attempt): Promise<void> {
  const { instanceId, runtimeId, call, step } = attempt;
  if (!step.row.killFirst) return;
  await attempt.enter('killing_lost_gateway');
  connections.close(runtimeId);
  await driver.stop(runtimeId, { graceMs: 0 }, call);
  orOvertaken(await clearKillFirst(orm.em.fork(), { instanceId, epoch: call.epoch }));
}

/** False when the gateway runs already. */
async function spawn(deps: StepDeps, attempt: Attempt, content: GatewayContentRows): Promise<boolean> {
  const { driver, connections } = deps;
  const { runtimeId, call } = attempt;
  await attempt.enter('starting_gateway');
  const before = await driver.inspect(runtimeId);
  if (before.status !== 'running') connections.close(runtimeId);
  await driver.ensureRunning(gatewaySpec(deps, runtimeId, content), call);
  return before.status !== 'running';
}

async function becomeReady({ driver, clock }: StepDeps, attempt: Attempt): Promise<void> {
  const { runtimeId, signal } = attempt;
  await attempt.enter('waiting_for_gateway');
  const [endpoint, { startedAt }] = await Promise.all([driver.endpoint(runtimeId), driver.inspect(runtimeId)]);
  if (!endpoint) throw new GatewayDiedError(await driver.exitOf(runtimeId));
  const ageMs = startedAt ? clock().getTime() - startedAt.getTime() : 0;
  await waitUntilReady(endpoint, {
    signal,
    deadlineMs: Math.max(READY_MS - ageMs, LEAST_READY_MS),
    isAlive: async () => (await driver.inspect(runtimeId)).status === 'running',
    exitOf: () => driver.exitOf(runtimeId),
  });
}

async function recoverTurns(deps: StepDeps, { instanceId, call, signal }: Attempt, client: GatewayClient): Promise<void> {
  await takeUpTurns(turnDepsOf(deps), { client, instanceId, epoch: call.epoch, signal });
}

interface Ready {
  client: GatewayClient;
  content: GatewayContentRows;
  isNew: boolean;
}

async function publish(deps: StepDeps, attempt: Attempt, { client, content, isNew }: Ready): Promise<void> {
  const { orm, makeId } = deps;
  const { instanceId, powerGeneration, call, step, signal } = attempt;
  const options = {
    instanceId,
    powerGeneration,
    epoch: call.epoch,
    bootId: client.bootId,
    contentGeneration: content.contentGeneration,
    // A gateway that ran before may be older than the restart that was asked for.
    restartGeneration: isNew ? step.row.restartGeneration : step.row.appliedRestartGeneration,
    intervalId: makeId('int'),
  };
  for (;;) {
    signal.throwIfAborted();
    const outcome = await runTransaction(orm.em, (em) => publishRunning(em, options));
    if (outcome === 'published') return;
    if (outcome === 'overtaken') throw new OvertakenError('Something else is wanted by now');
    await recoverTurns(deps, attempt, client);
  }
}
