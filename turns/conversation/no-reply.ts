import { AppError } from '../../domain/errors.ts';
import type { AppErrorOptions, ErrorCode } from '../../domain/errors.ts';

/**
 * Why a caller gets no reply of a message that was accepted, though its turn has not failed. `still_running`: the wait
 * ended first. `pending`: the message was sent again before its turn has ended. `deleted`: it was sent again after it was
 * deleted. `not_continued`: the reply is another one than what was streamed of it.
 */
export type NoReplyReason = 'still_running' | 'pending' | 'deleted' | 'not_continued';

const SOON_SECONDS = 2;

const FAILURES: Record<NoReplyReason, { code: ErrorCode; message: string; options?: AppErrorOptions }> = {
  still_running: {
    code: 'timeout',
    message: 'The agent did not reply within the timeout; its turn continues. Do not send the message again.',
  },
  pending: {
    code: 'conflict',
    message: 'This message has no reply yet. Try again in a moment.',
    options: { retryable: true, retryAfterSeconds: SOON_SECONDS },
  },
  deleted: { code: 'not_found', message: 'This message was deleted.' },
  not_continued: {
    code: 'instance_not_ready',
    message: 'The instance failed during this reply and generated a different one.',
    options: { retryable: false },
  },
};

/** The message was accepted and this caller gets no reply of it. A door says in its own words how to get the reply later. */
export class NoReplyError extends AppError {
  readonly why: NoReplyReason;

  constructor(why: NoReplyReason, messageId: string) {
    const { code, message, options } = FAILURES[why];
    super(code, message, { ...options, messageId });
    this.why = why;
  }
}
