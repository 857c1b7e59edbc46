import type { SentMessage } from './ended-reply.ts';
import { NoReplyError } from './no-reply.ts';

/** What is awaited, or NoReplyError `still_running` when the signal says that the caller waits no longer. The turn goes on. */
export function orStillRunning<T>(promise: Promise<T>, { messageId }: SentMessage, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(new NoReplyError('still_running', messageId));
    if (signal.aborted) return onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}
