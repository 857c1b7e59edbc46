import { once } from 'node:events';
import type { Notifications } from '../database/notifications.ts';

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
  const bell = new EventTarget();
  let isNews = true;
  const ring = () => {
    isNews = true;
    bell.dispatchEvent(new Event('news'));
  };
  const unsubscribe = notifications.on('instance', (payload) => {
    if (payload === null || payload === instanceId) ring();
  });
  const poll = setInterval(ring, POLL_MS);
  const end = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
  try {
    for (;;) {
      isNews = false;
      const found = await look();
      if (found !== undefined || end.aborted) return found;
      // What was rung while we looked must not be slept through.
      if (!isNews) await once(bell, 'news', { signal: end }).catch(() => undefined);
    }
  } finally {
    clearInterval(poll);
    unsubscribe();
  }
}
