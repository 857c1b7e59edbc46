import { setTimeout as sleep } from 'node:timers/promises';
import type { MikroORM } from '@mikro-orm/postgresql';
import { observeGateway } from '../runtime/observe-gateway.ts';
import { beginLocalStop } from '../database/instances/lifecycle/begin-local-stop.ts';
import type { LocalStop } from '../database/instances/lifecycle/begin-local-stop.ts';
import { releaseGateway } from '../database/instances/lifecycle/finish-stop.ts';
import { runTransaction } from '../database/run-transaction.ts';
import type { Clock } from '../lib/async/clock.ts';
import type { Log } from '../lib/log.ts';
import type { RuntimeDriver } from '../runtime/driver.ts';
import { countTurnsInFlight } from '../database/messages/pending-turns.ts';
import { handOverTurns } from '../database/messages/stamp-turns.ts';
import type { GatewayConnections } from '../runtime/gateway-connections.ts';

interface Deps {
  orm: MikroORM;
  driver: Pick<RuntimeDriver, 'list' | 'inspect' | 'exitOf' | 'stop'>;
  connections: Pick<GatewayConnections, 'close'>;
  clock: Clock;
  log: Log;
  /** How long running turns get to end. */
  turnsMs?: number;
}

const TURNS_MS = 30_000;
const POLL_MS = 200;
/** An idle gateway ends within a second. */
const GATEWAY_MS = 10_000;
const LONGEST_MS = 45_000;

/**
 * Stops the gateways of this machine for as long as the machine's stack is stopped: the running turns get some time to
 * end, the meters end, and the next start brings everything back, turns included. No step may run any more. Takes 45 s
 * at most; what is not done by then is left to the next start.
 */
export async function stopLocally(deps: Deps): Promise<void> {
  const { orm, driver, clock, log } = deps;
  const giveUp = AbortSignal.timeout(LONGEST_MS);
  const runtimes = (await driver.list()).filter(({ status }) => status === 'running' || status === 'suspended');
  const runtimeIds = runtimes.map(({ runtimeId }) => runtimeId);
  const stops = await runTransaction(orm.em, (em) => beginLocalStop(em, runtimeIds, clock()));
  log.info({ gateways: stops.length }, 'stopping the gateways of this machine');
  await Promise.all(
    stops.map((stop) =>
      stopOne(deps, stop, giveUp).catch((err: unknown) => {
        log.warn({ err, instanceId: stop.instanceId }, 'a gateway could not be stopped; the next start takes it over');
      }),
    ),
  );
}

async function stopOne(deps: Deps, { instanceId, runtimeId, epoch, isWanted }: LocalStop, giveUp: AbortSignal): Promise<void> {
  const { orm, driver, connections } = deps;
  if (isWanted) await turnsToEnd(deps, { instanceId, runtimeId });
  const observed = await observeGateway(driver, runtimeId);
  const isOurs = await runTransaction(orm.em, async (em) => {
    const isReleased = await releaseGateway(em, { instanceId, epoch, observed });
    if (isReleased && isWanted) await handOverTurns(em, instanceId);
    return isReleased;
  });
  if (!isOurs) throw new Error('A newer step works on the instance');
  connections.close(runtimeId);
  await driver.stop(runtimeId, { graceMs: GATEWAY_MS }, { epoch, signal: giveUp });
}

/** Resolves when no turn runs, when none can run any more, or when their time to end is over. */
async function turnsToEnd(
  { orm, driver, turnsMs = TURNS_MS }: Deps,
  { instanceId, runtimeId }: Pick<LocalStop, 'instanceId' | 'runtimeId'>,
): Promise<void> {
  const patience = AbortSignal.timeout(turnsMs);
  while (!patience.aborted && (await countTurnsInFlight(orm.em.fork(), instanceId)) > 0) {
    if ((await driver.inspect(runtimeId)).status !== 'running') return;
    await sleep(POLL_MS);
  }
}
