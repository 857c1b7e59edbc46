import { ApplicationFailure } from '@temporalio/common';
import { isDatabaseAway } from '../../database/failure-kind.ts';
import type { StepFailure, StepInterruption } from '../../domain/failures.ts';
import { InstanceDiskFullError, StaleEpochError } from '../../runtime/driver.ts';
import {
  AgentsNotLiveError,
  GatewayBrokenError,
  GatewayConnectError,
  GatewayDiedError,
  GatewayFloodError,
  GatewayNotReadyError,
  GatewayRequestError,
} from '../../runtime/gateway/gateway-errors.ts';
import { NodeLostError, PlacementError } from '../../runtime/placement-error.ts';
import { StateArchiveError } from '../../runtime/state-archive.ts';
import { NotServedError } from '../../runtime/worker-call.ts';
import { QueuedTooLongError } from '../start-pace.ts';
import { StorageError } from '../../runtime/host/storage-error.ts';

/** Another gateway process was found not to mend it. */
export class GivenUpError extends Error {
  readonly failure: StepFailure;

  constructor(failure: StepFailure) {
    super('The gateway is not started again');
    this.failure = failure;
  }
}

/** Something else is wanted by now, or a newer attempt works on it: this one ends without a trace. */
export class SupersededError extends Error {}

/** What an error means to the workflow. */
export function failureTypeOf(error: unknown): StepFailure | StepInterruption {
  if (error instanceof StaleEpochError || error instanceof SupersededError) return 'stale_attempt';
  if (error instanceof QueuedTooLongError) return 'gateway_slow';
  if (error instanceof GivenUpError) return error.failure;
  if (error instanceof GatewayBrokenError) return 'gateway_broken';
  if (error instanceof GatewayDiedError) return error.retryable ? 'gateway_died' : 'gateway_config_refused';
  if (error instanceof GatewayNotReadyError) return error.isDamaged ? 'gateway_damaged' : 'gateway_not_ready';
  if (error instanceof AgentsNotLiveError) return 'agents_not_live';
  if (error instanceof GatewayFloodError) return 'gateway_flood';
  if (error instanceof GatewayConnectError || error instanceof GatewayRequestError) return 'gateway_unreachable';
  if (error instanceof StorageError) return 'storage_refused';
  if (error instanceof InstanceDiskFullError) return 'disk_full';
  if (error instanceof StateArchiveError || error instanceof NotServedError) return 'not_moved';
  if (error instanceof PlacementError) return 'not_placed';
  if (error instanceof NodeLostError) return 'node_lost';
  return isDatabaseAway(error) ? 'database_away' : 'unexpected';
}

interface FailureOptions {
  /** Of the attempt; null when it had not begun. */
  epoch: number | null;
  isRetryable: boolean;
}

/**
 * The failure as the workflow's history may hold it: a type and a number, never the error's own text or stack, which
 * may hold a path or a customer's words and belong into the log.
 */
export function stepFailure(type: StepFailure | StepInterruption, { epoch, isRetryable }: FailureOptions): ApplicationFailure {
  const failure = ApplicationFailure.create({
    message: type,
    type,
    nonRetryable: !isRetryable,
    details: epoch === null ? [] : [epoch],
  });
  failure.stack = '';
  return failure;
}
