import { Context } from '@temporalio/activity';

const HEARTBEAT_MS = 1_000;

/** Runs an activity's work with a heartbeat each second. The signal aborts when the activity is cancelled. */
export async function withHeartbeat<T>(work: (cancellation: AbortSignal) => Promise<T>): Promise<T> {
  const { cancellationSignal, heartbeat } = Context.current();
  const timer = setInterval(() => heartbeat(), HEARTBEAT_MS);
  try {
    return await work(cancellationSignal);
  } finally {
    clearInterval(timer);
  }
}
