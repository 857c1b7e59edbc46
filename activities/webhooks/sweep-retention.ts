import { removeOldCalls } from '../../database/queries/idempotency.ts';
import { removeOldWindows } from '../../database/queries/rate-windows.ts';
import {
  findAccountsWithOldEvents,
  removeOldEvents,
  removeOldDeliveries,
  removeDeletedWebhooks,
} from '../../database/queries/remove-old.ts';
import { beating } from './beating.ts';
import type { DeliveryDeps } from './delivery-deps.ts';

const KEPT_MS = 30 * 24 * 60 * 60_000;
/** Any time over the minute that they count. */
const WINDOWS_KEPT_MS = 60 * 60_000;
const BATCH = 2_000;

/** How much a sweep removed. */
export interface Removed {
  events: number;
  deliveries: number;
}

/**
 * Removes events that were recorded over thirty days ago, deliveries that are as old, and what deleted webhooks leave
 * behind, and what repeated calls no longer need, in many small transactions. What it does not get to is left to the next sweep.
 */
export function sweepRetention(deps: DeliveryDeps): Promise<Removed> {
  return beating(deps, 'sweepRetention', async (cancellation) => {
    const { orm, clock, drain, log } = deps;
    const before = new Date(clock().getTime() - KEPT_MS);
    /** Until a batch is not full any more. */
    const inBatches = async (remove: () => Promise<number>): Promise<number> => {
      for (let total = 0; ;) {
        cancellation.throwIfAborted();
        const count = drain.aborted ? 0 : await remove();
        total += count;
        if (count < BATCH) return total;
      }
    };
    const removed = { events: 0, deliveries: 0 };
    for (const accountId of await findAccountsWithOldEvents(orm.em.fork(), before))
      removed.events += await inBatches(() => removeOldEvents(orm.em.fork(), { accountId, before, limit: BATCH }));
    removed.deliveries += await inBatches(() => removeOldDeliveries(orm.em.fork(), { before, limit: BATCH }));
    removed.deliveries += await inBatches(() => removeDeletedWebhooks(orm.em.fork(), { limit: BATCH }));
    await inBatches(() => removeOldCalls(orm.em.fork(), { now: clock(), limit: BATCH }));
    await inBatches(() =>
      removeOldWindows(orm.em.fork(), { before: new Date(clock().getTime() - WINDOWS_KEPT_MS), limit: BATCH }),
    );
    log.info(removed, 'what was too old is removed');
    return removed;
  });
}
