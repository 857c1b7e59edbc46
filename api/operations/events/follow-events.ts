import { findAccountEvents } from '../../../database/events/find-events.ts';
import type { Deps } from '../../deps.ts';
import type { StreamFrame } from '../../http/event-stream.ts';
import { watchChanges } from '../../../database/watch-changes.ts';
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
  const isRelevant = (payload: string): boolean => payload === accountId;
  const watch = watchChanges(deps.notifications, { channel: 'event', isRelevant, pollMs: POLL_MS, signal });
  let last = after;
  try {
    yield { comment: 'connected' };
    while (!signal.aborted) {
      watch.reset();
      const { events } = await findAccountEvents(deps.orm.em.fork(), { accountId, after: last, limit: PAGE });
      for (const event of events) {
        yield { id: `${event.seq}`, data: JSON.stringify(presentAccountEvent(event)) };
        last = event.seq;
      }
      if (events.length === 0) await watch.changed();
    }
  } finally {
    watch.close();
  }
}
