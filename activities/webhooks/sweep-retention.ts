import type { EntityManager } from '@mikro-orm/postgresql';
import { removeOldAddresses } from '../../database/accounts/delete-account.ts';
import { removeOldCalls } from '../../database/accounts/idempotency.ts';
import { removeOldRequesters } from '../../database/accounts/login-codes.ts';
import { dropHiddenMessages } from '../../database/messages/conversations.ts';
import { removeOldWindows } from '../../database/accounts/rate-windows.ts';
import {
  removeOldAgents,
  removeOldAudit,
  removeOldInstances,
  removeOldKeys,
  removeOldModelCalls,
  removeOldSteps,
} from '../../database/retention/remove-expired.ts';
import {
  findAccountsWithOldEvents,
  removeOldEvents,
  removeOldDeliveries,
  removeDeletedWebhooks,
} from '../../database/retention/remove-old.ts';
import { removeOldBudgets, removeOldSpends } from '../../database/retention/remove-old-budgets.ts';
import { STEPS_KEPT_DAYS } from '../../domain/steps.ts';
import { runRetryable } from '../steps/run-retryable.ts';
import { withHeartbeat } from '../steps/with-heartbeat.ts';
import type { DeliveryDeps } from './delivery-deps.ts';

const DAY_MS = 24 * 60 * 60_000;
const KEPT_DAYS = 30;
/** Two months: periods of budgets that are over. */
const SPENDS_KEPT_DAYS = 62;
/** Any time over the minute that they count. */
const WINDOWS_KEPT_MS = 60 * 60_000;
const BATCH = 2_000;

type RetentionDeps = Pick<DeliveryDeps, 'orm' | 'clock' | 'drain' | 'log' | 'keep'>;

/** How much a sweep removed. */
export interface Removed {
  events: number;
  deliveries: number;
  audit: number;
  modelCalls: number;
  tombstones: number;
}

/** Removes one batch and says how many rows that were. */
type Remove = (em: EntityManager, limit: number) => Promise<number>;

/**
 * Removes events that were recorded over thirty days ago, deliveries that are as old, what deleted webhooks leave behind,
 * what repeated calls and logins no longer need, addresses of deleted accounts, steps of turns that are as old, messages of
 * deleted conversations, what was spent in periods of budgets that are
 * over, and audit, model calls and tombstones that are older than they are kept, in many small transactions. What it does not get
 * to is left to the next sweep.
 */
export function sweepRetention(deps: RetentionDeps): Promise<Removed> {
  return withHeartbeat((cancellation) => runRetryable(deps, 'sweepRetention', () => sweep(deps, cancellation)));
}

async function sweep({ orm, clock, drain, log, keep }: RetentionDeps, cancellation: AbortSignal): Promise<Removed> {
  const now = clock();
  const daysAgo = (days: number) => new Date(now.getTime() - days * DAY_MS);
  /** Until a batch is not full any more. */
  const inBatches = async (remove: Remove): Promise<number> => {
    for (let total = 0; ;) {
      cancellation.throwIfAborted();
      const count = drain.aborted ? 0 : await remove(orm.em.fork(), BATCH);
      total += count;
      if (count < BATCH) return total;
    }
  };
  const removed = { events: 0, deliveries: 0, audit: 0, modelCalls: 0, tombstones: 0 };
  const before = daysAgo(KEPT_DAYS);
  for (const accountId of await findAccountsWithOldEvents(orm.em.fork(), before))
    removed.events += await inBatches((em, limit) => removeOldEvents(em, { accountId, before, limit }));
  removed.deliveries += await inBatches((em, limit) => removeOldDeliveries(em, { before, limit }));
  removed.deliveries += await inBatches((em, limit) => removeDeletedWebhooks(em, { limit }));
  await inBatches((em, limit) => removeOldCalls(em, { now, limit }));
  await inBatches((em, limit) => removeOldRequesters(em, { now, limit }));
  await inBatches((em, limit) => removeOldAddresses(em, { before, limit }));
  await inBatches((em, limit) => removeOldSteps(em, { before: daysAgo(STEPS_KEPT_DAYS), limit }));
  await inBatches((em, limit) => dropHiddenMessages(em, { limit }));
  const windowsBefore = new Date(now.getTime() - WINDOWS_KEPT_MS);
  await inBatches((em, limit) => removeOldWindows(em, { before: windowsBefore, limit }));
  removed.audit += await inBatches((em, limit) => removeOldAudit(em, { before: daysAgo(keep.AUDIT_DAYS), limit }));
  removed.modelCalls += await inBatches((em, limit) => removeOldModelCalls(em, { before: daysAgo(keep.MODEL_CALL_DAYS), limit }));
  await inBatches((em, limit) => removeOldSpends(em, { before: daysAgo(SPENDS_KEPT_DAYS), limit }));
  // Agents first: instances wait for theirs.
  for (const remove of [removeOldKeys, removeOldBudgets, removeOldAgents, removeOldInstances])
    removed.tombstones += await inBatches((em, limit) => remove(em, { before: daysAgo(keep.TOMBSTONE_DAYS), limit }));
  log.info(removed, 'expired rows were deleted');
  return removed;
}
