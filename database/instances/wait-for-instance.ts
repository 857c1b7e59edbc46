import type { Notifications } from '../notifications.ts';
import { watchChanges } from '../watch-changes.ts';

const POLL_MS = 1_000;

export interface InstanceWait {
  instanceId: string;
  timeoutMs: number;
  signal: AbortSignal;
}

/**
 * Looks now, whenever the instance's row changes, and once a second, until a look answers something. Undefined when the
 * time is up or the signal aborts.
 */
export async function waitForInstance<T>(
  notifications: Notifications,
  { instanceId, timeoutMs, signal }: InstanceWait,
  look: () => Promise<T | undefined>,
): Promise<T | undefined> {
  const end = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
  const isRelevant = (payload: string): boolean => payload === instanceId;
  const watch = watchChanges(notifications, { channel: 'instance', isRelevant, pollMs: POLL_MS, signal: end });
  try {
    for (;;) {
      watch.reset();
      const found = await look();
      if (found !== undefined || end.aborted) return found;
      await watch.changed();
    }
  } finally {
    watch.close();
  }
}
