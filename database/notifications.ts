import { Client } from 'pg';
import type { Log } from '../lib/log.ts';

const CHANNELS = ['outbox', 'instance', 'turn', 'webhook', 'event', 'session'] as const;
export type Channel = (typeof CHANNELS)[number];

export interface Notifications {
  /** Calls the listener with each payload, and with null after every (re)connect, when something may have been missed. */
  on(channel: Channel, listener: (payload: string | null) => void): () => void;
  close(): Promise<void>;
}

const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 5_000;

/**
 * Listens to the database's notifications on a dedicated connection and reconnects for ever. Notifications only speed
 * things up: each listener also polls the database about once a second.
 */
export function listenToNotifications(databaseUrl: string, log: Log): Notifications {
  const listeners = new Map<Channel, Set<(payload: string | null) => void>>(CHANNELS.map((name) => [name, new Set()]));
  const tell = (channel: Channel, payload: string | null) => {
    for (const listener of listeners.get(channel) ?? []) listener(payload);
  };
  let closed = false;
  let client: Client | null = null;
  let retry: NodeJS.Timeout | undefined;
  let pauseMs = FIRST_PAUSE_MS;

  /** Acts once per connection, which may report its end by several events. */
  const lost = (which: Client) => {
    if (closed || client !== which) return;
    client = null;
    retry = setTimeout(() => void connect(), pauseMs);
    pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS);
  };

  async function connect(): Promise<void> {
    const next = new Client({ connectionString: databaseUrl, application_name: 'thermidora-notifications', keepAlive: true });
    client = next;
    next.on('error', (err) => {
      log.debug({ err }, 'the connection for database notifications was lost');
      lost(next);
    });
    next.on('end', () => lost(next));
    next.on('notification', ({ channel, payload }) => {
      const known = CHANNELS.find((name) => name === channel);
      if (known) tell(known, payload ?? '');
    });
    try {
      await next.connect();
      for (const channel of CHANNELS) await next.query(`listen ${channel}`);
      pauseMs = FIRST_PAUSE_MS;
      for (const channel of CHANNELS) tell(channel, null);
    } catch (err) {
      log.debug({ err }, 'could not listen for database notifications; trying again');
      lost(next);
      await next.end().catch(() => undefined);
    }
  }

  void connect();
  return {
    on(channel, listener) {
      listeners.get(channel)?.add(listener);
      return () => void listeners.get(channel)?.delete(listener);
    },
    async close() {
      closed = true;
      clearTimeout(retry);
      await client?.end().catch(() => undefined);
    },
  };
}
