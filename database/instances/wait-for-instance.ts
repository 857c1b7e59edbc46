import { createNewsBell } from '../news-bell.ts';
import type { Notifications } from '../notifications.ts';

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
  const isNews = (told: string): boolean => told === instanceId;
  const bell = createNewsBell(notifications, { channel: 'instance', isNews, pollMs: POLL_MS, end });
  try {
    for (;;) {
      bell.heed();
      const found = await look();
      if (found !== undefined || end.aborted) return found;
      await bell.rung();
    }
  } finally {
    bell.close();
  }
}
