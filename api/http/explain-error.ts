import { z } from 'zod';
import { isDatabaseAway, isDatabaseTimeout } from '../../database/failure-kind.ts';
import { AppError, ERRORS } from '../../domain/errors.ts';
import type { Log } from '../../lib/log.ts';
import type { ApiState } from '../api-context.ts';
import { declaredErrors } from './standing-errors.ts';

/** Called with each error that an operation answered without declaring it. */
export type ReportUndeclared = (operationId: string, code: string) => void;

const SORRY = 'An unexpected server error occurred. Try again. If the error persists, contact support with the request id.';

/** The error that the caller gets for anything that was thrown. Internal details go to the log only. */
export function explainError(cause: unknown, state: ApiState, log: Log, reportUndeclared: ReportUndeclared): AppError {
  const error = toAppError(cause);
  const fields = { requestId: state.requestId, operationId: state.operation?.operationId };
  if (ERRORS[error.code].reportable) log.error({ ...fields, err: error.cause ?? error }, 'a request failed');
  if (state.operation && !declaredErrors(state.operation).has(error.code))
    reportUndeclared(state.operation.operationId, error.code);
  state.errorCode = error.code;
  return error;
}

function toAppError(cause: unknown): AppError {
  if (cause instanceof AppError) return cause;
  if (isDatabaseAway(cause))
    return new AppError('unavailable', 'The database is not available at the moment. Try again.', {
      retryAfterSeconds: 1,
      cause,
    });
  if (isDatabaseTimeout(cause))
    return new AppError('unavailable', 'The database did not complete the request in time. Try again.', {
      retryAfterSeconds: 1,
      cause,
    });
  // The input was parsed before, so a value that does not fit its schema is an answer of ours.
  if (cause instanceof z.ZodError)
    return new AppError('internal_error', SORRY, { cause: new Error('an answer does not fit its schema', { cause }) });
  return new AppError('internal_error', SORRY, { cause });
}
