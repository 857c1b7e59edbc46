import { IllegalStateError } from '@temporalio/common';
import type { Log } from '../../lib/log.ts';
import { installTemporalLogging } from '../../worker/temporal/temporal-logging.ts';

/** Has Temporal's library write to this log, unless an earlier test file of this process has done so. */
export function quietTemporal(log: Log): void {
  try {
    installTemporalLogging(log);
  } catch (error) {
    // Each test file has modules of its own, so the class is another one.
    if (!(error instanceof Error) || error.name !== IllegalStateError.name) throw error;
  }
}
