import { once } from 'node:events';
import type { Channel, Notifications } from './notifications.ts';

interface NewsOptions {
  channel: Channel;
  /** Whether a payload is news; that something may have been missed always is. */
  isNews: (payload: string) => boolean;
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
export function createNewsBell(notifications: Notifications, { channel, isNews, pollMs, end }: NewsOptions): NewsBell {
  const bell = new EventTarget();
  let hasRung = true;
  const ring = (): void => {
    hasRung = true;
    bell.dispatchEvent(new Event('news'));
  };
  const unsubscribe = notifications.on(channel, (told) => {
    if (told === null || isNews(told)) ring();
  });
  const poll = setInterval(ring, pollMs);
  return {
    heed() {
      hasRung = false;
    },
    async rung() {
      if (!hasRung && !end.aborted) await once(bell, 'news', { signal: end }).catch(() => undefined);
    },
    close() {
      clearInterval(poll);
      unsubscribe();
    },
  };
}
