import { findAccountEvents } from '../../../database/events/find-events.ts';
import type { Deps } from '../../deps.ts';
import type { StreamFrame } from '../../http/event-stream.ts';
import { createNewsBell } from '../../../database/news-bell.ts';
import { presentAccountEvent } from './event.schema.ts';

const PAGE = 50;
const POLL_MS = 5_000;

/**
 * The events of an account after this sequence number, and then each as soon as it is committed, until the signal aborts. A
 * page at a time, so that a slow client holds no more than one.
 */
export async function* followEvents(
  deps: Pick<Deps, 'orm' | 'notifications'>,
  { accountId, after, signal }: { accountId: string; after: number; signal: AbortSignal },
): AsyncGenerator<StreamFrame> {
  const isNews = (told: string): boolean => told === accountId;
  const bell = createNewsBell(deps.notifications, { channel: 'event', isNews, pollMs: POLL_MS, end: signal });
  let last = after;
  try {
    yield { comment: 'connected' };
    while (!signal.aborted) {
      bell.heed();
      const { events } = await findAccountEvents(deps.orm.em.fork(), { accountId, after: last, limit: PAGE });
      for (const event of events) {
        yield { id: `${event.seq}`, data: JSON.stringify(presentAccountEvent(event)) };
        last = event.seq;
      }
      if (events.length === 0) await bell.rung();
    }
  } finally {
    bell.close();
  }
}
