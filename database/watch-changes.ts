import { AutoResetEvent } from '../lib/async/auto-reset-event.ts';
import type { Channel, Notifications } from './notifications.ts';

interface WatchOptions {
  channel: Channel;
  /** Whether the payload of a notification concerns the caller. A lost connection, after which some may be missing, always does. */
  isRelevant: (payload: string) => boolean;
  /** A wait ends after this long without a notification too: they only speed things up. */
  pollMs: number;
  /** Ends every wait. */
  signal: AbortSignal;
}

export interface ChangeWatch {
  /** Forgets earlier notifications. Call it before each look at the database, so that a change after the look ends the next wait. */
  reset(): void;
  /** Resolves at a relevant notification since the last reset or wait, after `pollMs`, or when the signal aborts. */
  changed(): Promise<void>;
  close(): void;
}

/** Tells one caller when to look at the database again. */
export function watchChanges(notifications: Notifications, { channel, isRelevant, pollMs, signal }: WatchOptions): ChangeWatch {
  const event = new AutoResetEvent();
  const close = notifications.on(channel, (payload) => {
    if (payload === null || isRelevant(payload)) event.set();
  });
  return { reset: () => event.reset(), changed: () => event.wait(pollMs, signal), close };
}
