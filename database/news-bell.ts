import { once } from 'node:events';
import type { Channel, Notifications } from './notifications.ts';

interface NewsOptions {
  channel: Channel;
  /** The payload that is news; null, something may have been missed, always is. */
  payload: string;
  /** It rings so often by itself too: notifications only speed things up. */
  pollMs: number;
  /** Ends every wait. */
  end: AbortSignal;
}

export interface NewsBell {
  /** Forgets earlier rings. Call it before each look at the database. */
  heed(): void;
  /** Resolves when it has rung since it was heeded, or at the end. */
  rung(): Promise<void>;
  close(): void;
}

/** An auto-reset event for changes of the database. Heed it before each look, so that a change between look and wait is not missed. */
export function createNewsBell(notifications: Notifications, { channel, payload, pollMs, end }: NewsOptions): NewsBell {
  const bell = new EventTarget();
  let isNews = true;
  const ring = (): void => {
    isNews = true;
    bell.dispatchEvent(new Event('news'));
  };
  const unsubscribe = notifications.on(channel, (told) => {
    if (told === null || told === payload) ring();
  });
  const poll = setInterval(ring, pollMs);
  return {
    heed() {
      isNews = false;
    },
    async rung() {
      if (!isNews && !end.aborted) await once(bell, 'news', { signal: end }).catch(() => undefined);
    },
    close() {
      clearInterval(poll);
      unsubscribe();
    },
  };
}
