import { AppError } from '../../domain/errors.ts';
import type { ErrorDetail } from '../../domain/errors.ts';

/** A body of thousands of wrong fields gets no answer of thousands of sentences. */
const MAX_DETAILS = 100;
const MAX_PATH_CHARACTERS = 1_000;
const MAX_MESSAGE_CHARACTERS = 1_000;

/** `invalid_request` about these fields, of which there is at least one. It names the first hundred, long texts cut. */
export function invalidRequest(problems: readonly ErrorDetail[]): AppError {
  const details = problems.slice(0, MAX_DETAILS).map(({ path, message }) => ({
    path: path.slice(0, MAX_PATH_CHARACTERS).toWellFormed(),
    message: message.slice(0, MAX_MESSAGE_CHARACTERS).toWellFormed(),
  }));
  const [first] = details;
  const more = problems.length === 1 ? '' : ` (and ${problems.length - 1} more; see details)`;
  return new AppError('invalid_request', `${first?.path}: ${first?.message}${more}`, { details });
}
