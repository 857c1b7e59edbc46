import type { MikroORM } from '@mikro-orm/postgresql';
import { fallAsleep, findIdle } from '../database/instances/fall-asleep.ts';
import type { IdleInstance } from '../database/instances/fall-asleep.ts';
import { findDueSleepers, wakeForJob } from '../database/instances/wake-sleeper.ts';
import { findRoomless } from '../database/messages/find-roomless.ts';
import { runTransaction } from '../database/run-transaction.ts';
import type { SleepPace } from '../domain/sleep.ts';
import type { GatewayConnections } from '../runtime/gateway-connections.ts';
import { endTurnFirst } from '../turns/end-turns.ts';
import { noteSeenCron } from '../turns/note-cron.ts';
import type { TurnDeps } from '../turns/turn-deps.ts';
import { failedEnd } from '../turns/turn-end.ts';
import { startPoller } from './poller.ts';
import type { ShardLeases } from './shard-leases.ts';

export interface SleepWatch {
  /** Puts nothing to sleep and wakes nothing any more. */
  stop(): Promise<void>;
}

interface Deps extends TurnDeps {
  orm: MikroORM;
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
 * Puts instances of the shards that this worker holds to sleep when they are idle, wakes sleepers whose job is near, and gives
 * messages back that wait for room on the machine for too long.
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
  for (const instanceId of await findDueSleepers(em, AT_ONCE))
    await runTransaction(orm.em, (inner) => wakeForJob(inner, instanceId));
  for (const messageId of await findRoomless(em, AT_ONCE)) await endTurnFirst(deps, messageId, failedEnd('no_capacity'));
  const idle = await findIdle(em, { shards, pace, limit: AT_ONCE });
  await Promise.all(idle.map((instance) => putToSleep(deps, pace, instance)));
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
