import type { MikroORM } from '@mikro-orm/postgresql';
import { fallAsleep, findIdle } from '../../database/instances/sleep/fall-asleep.ts';
import type { IdleInstance } from '../../database/instances/sleep/fall-asleep.ts';
import { endSuspension, findLongSuspended } from '../../database/instances/sleep/suspended.ts';
import { findDueSleepers, wakeForJob } from '../../database/instances/sleep/wake-sleeper.ts';
import { findRoomless } from '../../database/messages/find-roomless.ts';
import { runTransaction } from '../../database/run-transaction.ts';
import type { SleepPace } from '../../domain/sleep.ts';
import type { Config } from '../../lib/settings/config.ts';
import type { GatewayConnections } from '../../runtime/gateway-connections.ts';
import { isShort, readSwap as readOwnSwap } from '../../runtime/host/swap-room.ts';
import type { SwapRoom } from '../../runtime/host/swap-room.ts';
import { endTurnFirst } from '../../turns/end-turns.ts';
import { noteSeenCron } from '../../turns/note-cron.ts';
import type { TurnDeps } from '../../turns/turn-deps.ts';
import { failedEnd } from '../../turns/turn-end.ts';
import { startPoller } from './poller.ts';
import type { ShardLeases } from './shard-leases.ts';

export interface SleepWatch {
  /** Puts nothing to sleep and wakes nothing any more. */
  stop(): Promise<void>;
}

interface Deps extends TurnDeps {
  orm: MikroORM;
  /** By default that of this machine. */
  readSwap?: () => Promise<SwapRoom>;
  config: Pick<Config, 'DEEP_SLEEP_AFTER_MS'>;
  connections: Pick<GatewayConnections, 'get'>;
  leases: Pick<ShardLeases, 'held'>;
  pace: SleepPace;
}

/** Of each kind at one look; what is more comes at the next. */
const AT_ONCE = 50;
const GATEWAY_MS = 5_000;
/** A gateway that was killed may show a run of its job for ever. */
const LONGEST_RUN_MS = 60 * 60_000;

/**
 * Puts instances of the shards that this worker holds to sleep when they are idle, wakes sleepers whose job is near, has gateways
 * stopped that are suspended for too long or while swap is short, and gives messages back that wait for room on the machine for too long.
 */
export function startWatchingSleep(deps: Deps): SleepWatch {
  const { everyMs } = deps.pace;
  const onError = (err: unknown): void =>
    deps.log.warn({ err }, 'could not look for instances to put to sleep or to wake; trying again');
  const looks = startPoller({ everyMs, look: () => look(deps), onError });
  return { stop: () => looks.stop() };
}

async function look(deps: Deps): Promise<void> {
  const { orm, leases, pace } = deps;
  const shards = [...(leases.held()?.epochs.keys() ?? [])];
  if (shards.length === 0) return;
  const em = orm.em.fork();
  for (const instanceId of await findDueSleepers(em, { ...pace, limit: AT_ONCE }))
    await runTransaction(orm.em, (inner) => wakeForJob(inner, instanceId));
  for (const messageId of await findRoomless(em, AT_ONCE)) await endTurnFirst(deps, messageId, failedEnd('no_capacity'));
  await endSuspensions(deps, shards);
  const idle = await findIdle(em, { shards, pace, limit: AT_ONCE });
  await Promise.all(idle.map((instance) => putToSleep(deps, pace, instance)));
}

/** Of gateways that are suspended for long; where swap is short, also of the one that is for longest, one at each look. */
async function endSuspensions({ orm, readSwap = readOwnSwap, config, log }: Deps, shards: readonly number[]): Promise<void> {
  const em = orm.em.fork();
  const deep = await findLongSuspended(em, { shards, forMs: config.DEEP_SLEEP_AFTER_MS, limit: AT_ONCE });
  const isFull = deep.length === 0 && isShort(await readSwap());
  const instanceIds = isFull ? await findLongSuspended(em, { shards, forMs: 0, limit: 1 }) : deep;
  for (const instanceId of instanceIds) {
    if (!(await runTransaction(orm.em, (inner) => endSuspension(inner, instanceId)))) continue;
    if (isFull) log.warn({ instanceId }, 'swap is short: the gateway that was suspended for longest is stopped');
    else log.info({ instanceId }, 'a gateway that was suspended for long is stopped');
  }
}

async function putToSleep(deps: Deps, pace: SleepPace, instance: IdleInstance): Promise<void> {
  const { orm, log } = deps;
  const { instanceId } = instance;
  try {
    if (await hasRunningJob(deps, instance)) return;
    if (await runTransaction(orm.em, (em) => fallAsleep(em, { instanceId, pace })))
      log.info({ instanceId }, 'an idle instance was put to sleep');
  } catch (err) {
    log.debug({ err, instanceId }, 'an idle instance could not be put to sleep yet');
  }
}

/** Asks the gateway itself, and writes down when its jobs are due. */
async function hasRunningJob(deps: Deps, { instanceId, runtimeId }: IdleInstance): Promise<boolean> {
  const { orm, connections, makeId, clock } = deps;
  const gateway = await connections.get(runtimeId, AbortSignal.timeout(GATEWAY_MS));
  const stale = new Date(clock().getTime() - LONGEST_RUN_MS);
  let isRunning = false;
  for await (const { jobs } of gateway.jobs.pages())
    for (const job of jobs) {
      isRunning ||= job.runningSince !== null && job.runningSince > stale;
      await runTransaction(orm.em, (em) => noteSeenCron(em, { instanceId, makeId }, job));
    }
  return isRunning;
}
