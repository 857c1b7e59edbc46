import type { MikroORM } from '@mikro-orm/postgresql';
import { findLifecycle } from '../../database/instances/lifecycle/find-lifecycle.ts';
import { waitForInstance } from '../../database/instances/wait-for-instance.ts';
import { noteUse, wakeSleeper } from '../../database/instances/sleep/wake-sleeper.ts';
import type { Notifications } from '../../database/notifications.ts';
import { runTransaction } from '../../database/run-transaction.ts';
import { holdsMessages, isAsleep } from '../../domain/lifecycle.ts';
import { requireWakeable } from '../require-wakeable.ts';

/** How long a call waits for an instance that wakes. */
export const WAKE_PATIENCE_MS = 60_000;

interface Deps {
  orm: MikroORM;
  notifications: Notifications;
}

interface Place {
  accountId: string;
  instanceId: string;
}

/**
 * Wakes an instance of the caller if it sleeps, and waits for a minute at most until it does not wake any more. Keeps it awake for
 * what the call does next. Whether it runs then is for the caller to ask. Throws AppError `payment_required`.
 */
export async function awaitAwake(deps: Deps, { accountId, instanceId }: Place, signal: AbortSignal): Promise<void> {
  await wakeForCall(deps.orm, { accountId, instanceId });
  await waitForInstance(deps.notifications, { instanceId, timeoutMs: WAKE_PATIENCE_MS, signal }, async () => {
    const row = await findLifecycle(deps.orm.em.fork(), instanceId, { lock: false });
    return row && holdsMessages(row) ? undefined : true;
  });
}

/** Wakes an instance of the caller if it sleeps, and keeps it awake. Throws AppError `payment_required`. */
export async function wakeForCall(orm: MikroORM, { accountId, instanceId }: Place): Promise<void> {
  await runTransaction(orm.em, async (em) => {
    const row = await findLifecycle(em, instanceId, { lock: true });
    if (row?.accountId !== accountId) return;
    await noteUse(em, instanceId);
    if (!isAsleep(row)) return;
    await requireWakeable(em, { accountId, instanceId }, row.databaseNow);
    await wakeSleeper(em, instanceId);
  });
}
