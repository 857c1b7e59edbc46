import type { EntityManager } from '@mikro-orm/postgresql';
import type { MakeId } from '../../domain/ids.ts';
import type { Random } from '../../domain/webhooks/retry-schedule.ts';
import { healthAfter } from '../../domain/webhooks/webhook-health.ts';
import type { AttemptOutcome, HealthChange } from '../../domain/webhooks/webhook-health.ts';
import type { DisabledReason } from '../../domain/webhooks/webhook-events.ts';
import { recordNotice } from '../events/record-notice.ts';
import { columns, db } from '../db.ts';
import { WebhookAttempt } from '../entities/webhook-attempt.ts';
import { WebhookDelivery } from '../entities/webhook-delivery.ts';
import { fromNow, NOW, run, sql } from '../sql.ts';

/** One attempt and what becomes of its delivery. */
export interface EndedAttempt {
  deliveryId: string;
  /** From 1. */
  number: number;
  at: Date;
  statusCode: number | null;
  durationMs: number;
  error: string | null;
  response: string | null;
  status: 'pending' | 'succeeded' | 'failed';
  tries: number;
  /** When it is tried again, from now; null: as it stood, or never when it has ended. */
  retryInMs: number | null;
}

const DELIVERY = columns(WebhookDelivery, 'webhook_deliveries');
const SET = columns(WebhookDelivery);
const ATTEMPT = columns(WebhookAttempt);

/**
 * Records attempts in one statement. When a worker that was taken for dead and the one that replaced it both made the
 * same attempt, the first one to be recorded counts.
 */
export async function recordAttempts(em: EntityManager, attempts: readonly EndedAttempt[]): Promise<void> {
  if (attempts.length === 0) return;
  await run(
    em,
    sql`with ended as (
       select * from jsonb_to_recordset(${JSON.stringify(attempts)}::jsonb) as attempt (
         "deliveryId" text, number int, at timestamptz, "statusCode" smallint, "durationMs" int, error text, response text,
         status text, tries int, "retryInMs" float8)
     ),
     written as (
       update webhook_deliveries
          set ${SET.status} = ended.status, ${SET.attempts} = ended.number, ${SET.tries} = ended.tries,
              ${SET.nextAttemptAt} = case when ended.status = 'pending'
                then coalesce(now() + make_interval(secs => ended."retryInMs" / 1000), ${DELIVERY.nextAttemptAt}) end
         from ended
        where ${DELIVERY.id} = "deliveryId" and ${DELIVERY.status} = 'pending' and ${DELIVERY.attempts} = ended.number - 1
       returning ${DELIVERY.id} as id
     )
     insert into webhook_attempts (${ATTEMPT.delivery}, ${ATTEMPT.number}, ${ATTEMPT.at}, ${ATTEMPT.statusCode}, ${ATTEMPT.durationMs},
                                   ${ATTEMPT.error}, ${ATTEMPT.response})
     select "deliveryId", number, at, "statusCode", "durationMs", error, response from ended join written on id = "deliveryId"`,
  );
}

interface HealthOptions {
  random: Random;
  makeId: MakeId;
  now: Date;
}

/**
 * Updates the health of an endpoint after attempts, as the last statement of the caller's transaction: after ten failures in
 * a row it rests between probes, after a success everything that waits is due, and an endpoint that is gone or has failed
 * for days is disabled, with a notice. Null when the webhook was deleted.
 */
export async function recordHealth(
  em: EntityManager,
  webhookId: string,
  outcomes: readonly AttemptOutcome[],
  { random, makeId, now }: HealthOptions,
): Promise<HealthChange | null> {
  const row = await db(em)
    .selectFrom('Webhook')
    .select(['account', 'enabled', 'failures', 'failingSince'])
    .where('id', '=', webhookId)
    .where('deletedAt', 'is', null)
    .forNoKeyUpdate()
    .executeTakeFirst();
  if (!row) return null;
  const change = healthAfter(row, outcomes, random);
  const disable = row.enabled ? change.disable : null;
  const { failures, failingSince, isRecovered, restMs } = change;
  await db(em)
    .updateTable('Webhook')
    .set({ failures, failingSince })
    .$if(disable !== null, (update) => update.set({ enabled: false, disabledReason: disable }))
    .$if(isRecovered || restMs !== null, (update) =>
      update.set({ notBefore: isRecovered || restMs === null ? null : fromNow(restMs) }),
    )
    .where('id', '=', webhookId)
    .execute();
  if (change.isRecovered) await makeDue(em, webhookId);
  if (disable !== null) await recordDisabled(em, { id: makeId('evt'), accountId: row.account, webhookId, reason: disable, now });
  return { ...change, disable };
}

/** Makes every delivery of the webhook that waits for its retry due now. */
export async function makeDue(em: EntityManager, webhookId: string): Promise<void> {
  await db(em)
    .updateTable('WebhookDelivery')
    .set({ nextAttemptAt: NOW })
    .where('webhook', '=', webhookId)
    .where('status', '=', 'pending')
    .where('nextAttemptAt', '>', NOW)
    .execute();
}

interface Disabled {
  id: string;
  accountId: string;
  webhookId: string;
  reason: DisabledReason;
  now: Date;
}

async function recordDisabled(em: EntityManager, { id, accountId, webhookId, reason, now }: Disabled): Promise<void> {
  await recordNotice(em, { id, accountId, type: 'webhook.disabled', data: { webhookId, reason }, createdAt: now });
}
