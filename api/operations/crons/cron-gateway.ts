import type { EntityManager } from '@mikro-orm/postgresql';
import { holdInstance } from '../../../database/messages/agent-gate.ts';
import { noteCronRemoved } from '../../../database/crons/crons.ts';
import { runTransaction } from '../../../database/run-transaction.ts';
import { AppError } from '../../../domain/errors.ts';
import type { Gateway } from '../../../runtime/gateway/gateway.ts';
import {
  CONNECTION_LOST,
  GatewayConnectError,
  GatewayRequestError,
  isRefusedCron,
  NO_ANSWER,
  writeLimitWaitMs,
} from '../../../runtime/gateway/gateway-errors.ts';
import type { CronJob } from '../../../runtime/gateway/gateway-jobs.ts';
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
const SOON_MS = 5_000;

/** Keeps the instance from starting, stopping and restarting until the transaction ends. Throws `not_found`. */
export async function holdForCrons(em: EntityManager, instanceId: string): Promise<() => void> {
  const gate = await holdInstance(em, instanceId);
  if (!gate) throw new AppError('not_found', 'Instance not found');
  return function requireRunning() {
    requireAccepting(
      gate,
      (reason) =>
        `Cron jobs can be changed only while the instance is running (now: ${reason}). Start the instance, then try again.`,
    );
  };
}

interface AtGateway {
  /** Told when the gateway certainly did nothing: it refused the call, or was never asked. */
  onRefused?: () => Promise<void>;
}

/**
 * Has the gateway of an instance do something, whether or not the client still waits. Throws `unavailable` when it does
 * not answer, `rate_limited` when it has had too many such calls, and `invalid_request` when it refuses the schedule.
 */
export async function atGateway<T>(
  deps: Deps,
  place: Place,
  work: (gateway: Gateway) => Promise<T>,
  { onRefused }: AtGateway = {},
): Promise<T> {
  const { runtimeId } = await findInstance(deps.orm.em.fork(), place);
  try {
    return await work(await deps.connections.get(runtimeId, AbortSignal.timeout(CONNECT_MS)));
  } catch (error) {
    if (onRefused && !mayHaveDone(error)) await onRefused();
    throw explained(error);
  }
}

/** The call went out, and what became of it was not said. */
function mayHaveDone(error: unknown): boolean {
  if (error instanceof GatewayRequestError) return error.code === CONNECTION_LOST || error.code === NO_ANSWER;
  return !isNoConnection(error);
}

function isNoConnection(error: unknown): boolean {
  return error instanceof GatewayConnectError || (Error.isError(error) && error.name === 'TimeoutError');
}

function explained(error: unknown): unknown {
  if (isRefusedCron(error)) return scheduleRefused();
  const limitMs = writeLimitWaitMs(error);
  if (limitMs !== null) return tooMany(limitMs);
  if (error instanceof GatewayRequestError) return silent(error, error.retryAfterMs);
  return isNoConnection(error) ? silent(error) : error;
}

function tooMany(waitMs: number): AppError {
  const retryAfterSeconds = wholeSeconds(waitMs);
  const message = `An instance accepts 30 calls per minute of each kind: create, change, run and delete cron jobs. Try again in ${retryAfterSeconds} s.`;
  return new AppError('rate_limited', message, { retryAfterSeconds });
}

function silent(cause: unknown, waitMs = SOON_MS): AppError {
  return new AppError('unavailable', 'The instance did not answer. Try again in a moment.', {
    retryAfterSeconds: wholeSeconds(waitMs),
    cause,
  });
}

function wholeSeconds(ms: number): number {
  return Math.max(1, Math.ceil(ms / 1_000));
}

/** Writes down a job as the gateway has just shown it. */
export async function keepCron(deps: Deps, instanceId: string, job: CronJob): Promise<void> {
  await runTransaction(deps.orm.em, (em) => noteSeenCron(em, { instanceId, makeId: deps.makeId }, job));
}

/** Writes down that the gateway does not have it any more. */
export async function keepGone(deps: Deps, instanceId: string, gatewayJobId: string): Promise<void> {
  await noteCronRemoved(deps.orm.em.fork(), instanceId, gatewayJobId);
}
