import type { EntityManager } from '@mikro-orm/postgresql';
import { holdInstance } from '../../../database/queries/accept-turn.ts';
import { noteCronRemoved } from '../../../database/queries/crons.ts';
import { runTransaction } from '../../../database/run-transaction.ts';
import { AppError } from '../../../domain/errors.ts';
import { isRefusedCron } from '../../../runtime/openclaw/crons.ts';
import type { CronJob } from '../../../runtime/openclaw/crons.ts';
import { GatewayConnectError, GatewayRequestError } from '../../../runtime/openclaw/gateway-client.ts';
import type { GatewayClient } from '../../../runtime/openclaw/gateway-client.ts';
import { noteSeenCron } from '../../../turns/note-cron.ts';
import { requireAccepting } from '../../../turns/require-accepting.ts';
import type { Deps } from '../../deps.ts';
import { findInstance } from '../../find-instance.ts';
import { scheduleRefused } from './cron.schema.ts';

interface Place {
  accountId: string;
  instanceId: string;
}

const CONNECT_MS = 5_000;
const SOON_SECONDS = 5;

/** Keeps the instance from starting, stopping and restarting until the transaction ends. Throws `not_found`. */
export async function holdForCrons(em: EntityManager, instanceId: string): Promise<() => void> {
  const gate = await holdInstance(em, instanceId);
  if (!gate) throw new AppError('not_found', 'Instance not found');
  return function requireRunning() {
    requireAccepting(gate, (reason) => `Crons can be changed only while the instance runs (${reason}).`);
  };
}

/**
 * Has the gateway of an instance do something, whether or not the client still waits. Throws `unavailable` when it does
 * not answer, and `invalid_request` when it refuses the schedule.
 */
export async function atGateway<T>(deps: Deps, place: Place, work: (client: GatewayClient) => Promise<T>): Promise<T> {
  const { runtimeId } = await findInstance(deps.orm.em.fork(), place);
  try {
    return await work(await deps.connections.get(runtimeId, AbortSignal.timeout(CONNECT_MS)));
  } catch (error) {
    if (isRefusedCron(error)) throw scheduleRefused();
    throw isSilence(error) ? silent(error) : error;
  }
}

function isSilence(error: unknown): boolean {
  const isTimeout = error instanceof Error && error.name === 'TimeoutError';
  return isTimeout || error instanceof GatewayConnectError || error instanceof GatewayRequestError;
}

function silent(cause: unknown): AppError {
  return new AppError('unavailable', 'The instance did not answer. Try again in a moment.', {
    retryAfterSeconds: SOON_SECONDS,
    cause,
  });
}

/** Writes down a job as the gateway has just shown it. */
export async function keepCron(deps: Deps, instanceId: string, job: CronJob): Promise<void> {
  await runTransaction(deps.orm.em, (em) => noteSeenCron(em, { instanceId, makeId: deps.makeId }, job));
}

/** Writes down that the gateway does not have it any more. */
export async function keepGone(deps: Deps, instanceId: string, gatewayJobId: string): Promise<void> {
  await noteCronRemoved(deps.orm.em.fork(), instanceId, gatewayJobId);
}
