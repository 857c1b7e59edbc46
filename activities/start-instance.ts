import { noteGatewayGone } from '../database/instances/lifecycle/finish-stop.ts';
import { loadGatewayContent } from '../database/content/gateway-content.ts';
import type { GatewayContentRows } from '../database/content/gateway-content.ts';
import { knowsOffers, noteOffers } from '../database/content/model-offers.ts';
import { noteMake } from '../database/nodes/note-make.ts';
import { noteInstance } from '../database/instances/note-instance.ts';
import { runTransaction } from '../database/run-transaction.ts';
import { afterDeath } from '../domain/lifecycle.ts';
import { offersDigest } from '../lib/settings/model-offer.ts';
import type { RuntimeSpec } from '../runtime/driver.ts';
import { waitUntilReady } from '../runtime/engine.ts';
import type { Gateway } from '../runtime/gateway/gateway.ts';
import { GatewayDiedError } from '../runtime/gateway/gateway-errors.ts';
import { recoverTurns } from '../turns/recover-turns.ts';
import { gatewaySpec } from './gateway-spec.ts';
import type { OpenContent } from './gateway-spec.ts';
import { openSecrets } from './content/open-secrets.ts';
import { publishGateway } from './publish-gateway.ts';
import { pushContent } from './content/push-content.ts';
import { resumeSuspended } from './resume-gateway.ts';
import { throwIfSuperseded, runStep } from './steps/run-step.ts';
import type { Attempt, StepInput } from './steps/run-step.ts';
import { skillTree } from './content/skill-content.ts';
import { gatewayAgeMs, LONGEST_START_MS, slownessOf } from './slow-gateway.ts';
import { GivenUpError, SupersededError } from './steps/step-failure.ts';
import { turnDepsOf } from './steps/step-deps.ts';
import type { StepDeps } from './steps/step-deps.ts';

/** From the spawn on, for a gateway that is not slow. */
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
    if (step.row.giveUpFor) throw new GivenUpError(step.row.giveUpFor);
    // It died too often while it ran.
    if (afterDeath(step.row.deaths, clock()).giveUp) throw new GatewayDiedError(await deps.driver.exitOf(runtimeId));
    await killLostGateway(deps, attempt);
    const isResumed = await resumeSuspended(deps, attempt);
    const content = await loadGatewayContent(orm.em.fork(), instanceId);
    const isUnchanged = isResumed && (await hasContent(deps, attempt, content));
    const secrets = openSecrets(deps, content);
    const { isNew, spec } = await spawnInTurn(deps, attempt, { rows: content, secrets });
    // Without delay: three seconds after it is ready the gateway begins to run interrupted turns again on its own.
    const gateway = await connections.get(runtimeId, signal);
    // Before any turn runs; what is not new to it takes no time.
    if (!isUnchanged) await gateway.secrets.sync(secrets, signal);
    await attempt.enter('recovering_turns');
    const takesTurns = await recoverTurnsOf(deps, attempt, gateway);
    await attempt.enter('applying_content');
    const { refused } = await pushContent(deps, attempt, { gateway, content, spec, hasRead: isNew || isUnchanged });
    if (!(takesTurns && isWoken(attempt, { isNew, isResumed }))) await gateway.prove(signal);
    await noteOffers(orm.em.fork(), { instanceId, epoch: attempt.call.epoch, offers: offersDigest(deps.config) });
    await publish(deps, attempt, { gateway, content });
    if (refused > 0) await runTransaction(orm.em, (em) => noteInstance(em, { instanceId, note: 'file_refused' }));
  });
}

/**
 * Whether a sleeper wakes with a gateway of which nothing bad is known: then an accepted turn shows as well as a proof that it takes
 * turns, and need not wait for one. What another attempt has left half-way may accept turns and refuse them afterwards.
 */
function isWoken({ step }: Attempt, { isNew, isResumed }: { isNew: boolean; isResumed: boolean }): boolean {
  return step.row.sleepState === 'waking' && (isNew || isResumed);
}

/** Whether the gateway had all of this content when it was suspended. A changed secret would have ended it. */
async function hasContent(
  { orm, config }: StepDeps,
  { instanceId, step }: Attempt,
  content: GatewayContentRows,
): Promise<boolean> {
  if (content.contentGeneration > step.row.appliedContentGeneration) return false;
  return knowsOffers(orm.em.fork(), { instanceId, offers: offersDigest(config) });
}

/** A gateway that was given up must not be adopted. */
async function killLostGateway({ driver, connections }: StepDeps, attempt: Attempt): Promise<void> {
  const { runtimeId, call, step } = attempt;
  if (!step.row.killFirst) return;
  await attempt.enter('killing_lost_gateway');
  connections.close(runtimeId);
  await driver.stop(runtimeId, { graceMs: 0 }, call);
}

interface Started {
  isNew: boolean;
  /** What its configuration was written from. */
  spec: RuntimeSpec;
}

/**
 * Spawns a gateway, when it is its turn, or brings the one that runs to this configuration; and waits until it is
 * ready.
 */
async function spawnInTurn(deps: StepDeps, attempt: Attempt, content: OpenContent): Promise<Started> {
  const { driver, startPace } = deps;
  const { runtimeId, call } = attempt;
  const isNew = (await driver.inspect(runtimeId)).status !== 'running';
  const rows = isNew ? { ...content.rows, gatewayEpoch: call.epoch } : content.rows;
  const started = { isNew, spec: gatewaySpec(deps, runtimeId, { ...content, rows }) };
  const start = async (): Promise<void> => {
    await spawn(deps, attempt, { rows, ...started });
    await becomeReady(deps, attempt);
  };
  const { accountId } = attempt.step.row;
  if (isNew) await startPace.run({ accountId, signal: attempt.signal, onQueued: () => attempt.enter('queued') }, start);
  else await start();
  return started;
}

async function spawn(
  deps: StepDeps,
  attempt: Attempt,
  { rows, isNew, spec }: Started & { rows: GatewayContentRows },
): Promise<void> {
  const { orm, driver, connections } = deps;
  const { instanceId, runtimeId, call, step } = attempt;
  await attempt.enter('starting_gateway');
  if (isNew) {
    connections.close(runtimeId);
    // Before the spawn: another attempt could not tell how new the gateway is that it adopts.
    const { restartGeneration } = step.row;
    const gone = { instanceId, epoch: call.epoch, restartGeneration };
    throwIfSuperseded(await runTransaction(orm.em, (em) => noteGatewayGone(em, gone)));
    await noteMake(orm.em.fork(), runtimeId, { driver: driver.kind, pin: await driver.pin() });
  }
  await driver.replaceSkills(runtimeId, skillTree(rows), call);
  await driver.ensureRunning(spec, call);
}

async function becomeReady(deps: StepDeps, attempt: Attempt): Promise<void> {
  const { driver } = deps;
  const { runtimeId, signal } = attempt;
  await attempt.enter('waiting_for_gateway');
  const [endpoint, ageMs] = await Promise.all([driver.endpoint(runtimeId), gatewayAgeMs(deps, runtimeId)]);
  if (!endpoint) throw new GatewayDiedError(await driver.exitOf(runtimeId));
  const left = (ofMs: number): number => Math.max(ofMs - (ageMs ?? 0), LEAST_READY_MS);
  await waitUntilReady(endpoint, {
    signal,
    deadlineMs: left(READY_MS),
    isAlive: async () => (await driver.inspect(runtimeId)).status === 'running',
    exitOf: () => driver.exitOf(runtimeId),
    whenSlow: { limitMs: left(LONGEST_START_MS), isSlow: () => isSlowToStart(deps, attempt) },
  });
}

async function isSlowToStart(deps: StepDeps, attempt: Attempt): Promise<boolean> {
  const because = await slownessOf(deps, attempt);
  if (because === null) return false;
  deps.log.warn({ instanceId: attempt.instanceId, because }, 'a gateway is slow to start and gets more time');
  await attempt.enter('waiting_for_slow_gateway');
  return true;
}

function recoverTurnsOf(deps: StepDeps, { instanceId, call, signal }: Attempt, gateway: Gateway): Promise<boolean> {
  return recoverTurns(turnDepsOf(deps), { gateway, instanceId, epoch: call.epoch, signal });
}

interface Ready {
  gateway: Gateway;
  content: GatewayContentRows;
}

async function publish(deps: StepDeps, attempt: Attempt, { gateway, content }: Ready): Promise<void> {
  const { instanceId, runtimeId, powerGeneration, call, signal } = attempt;
  const { bootId } = gateway;
  const { contentGeneration } = content;
  for (;;) {
    signal.throwIfAborted();
    const publication = { instanceId, runtimeId, powerGeneration, epoch: call.epoch, bootId, contentGeneration };
    const outcome = await publishGateway(deps, publication);
    if (outcome === 'published') return noteWake(deps, attempt);
    if (outcome === 'superseded') throw new SupersededError('Something else is wanted by now');
    await recoverTurnsOf(deps, attempt, gateway);
  }
}

function noteWake({ onWoken, clock }: StepDeps, { step }: Attempt): void {
  const { sleepState, sleepSince } = step.row;
  if (sleepState === 'waking' && sleepSince !== null) onWoken?.(Math.max(0, clock().getTime() - sleepSince.getTime()) / 1_000);
}
