import { orAborted } from '../../lib/async/aborted.ts';
import type { SentMessage } from './ended-reply.ts';
import { NoReplyError } from './no-reply.ts';

/** What is awaited, or NoReplyError `still_running` when the signal says that the caller waits no longer. The turn goes on. */
export async function orStillRunning<T>(promise: Promise<T>, { messageId }: SentMessage, signal: AbortSignal): Promise<T> {
  try {
    return await orAborted(promise, signal);
  } catch (error) {
    throw signal.aborted && error === signal.reason ? new NoReplyError('still_running', messageId) : error;
  }
}
