import type { EntityManager } from '@mikro-orm/postgresql';
import type { MakeId } from '../../domain/ids.ts';
import type { Random } from '../../domain/retry-schedule.ts';
import { healthAfter } from '../../domain/webhook-health.ts';
import type { AttemptOutcome, HealthChange } from '../../domain/webhook-health.ts';
import type { DisabledReason } from '../../domain/webhook-events.ts';
import { recordNotice } from '../events/record-notice.ts';
import { query, run, sql } from '../sql.ts';

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
          set status = ended.status, attempts = ended.number, tries = ended.tries,
              next_attempt_at = case when ended.status = 'pending'
                                     then coalesce(now() + make_interval(secs => ended."retryInMs" / 1000), next_attempt_at) end
         from ended
        where id = "deliveryId" and webhook_deliveries.status = 'pending' and attempts = ended.number - 1
       returning id
     )
     insert into webhook_attempts (delivery_id, number, at, status_code, duration_ms, error, response)
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
  const [row] = await query<{ accountId: string; enabled: boolean; failures: number; failingSince: Date | string | null }>(
    em,
    sql`select account_id as "accountId", enabled, failures, failing_since as "failingSince"
       from webhooks where id = ${webhookId} and deleted_at is null for no key update`,
  );
  if (!row) return null;
  const failingSince = row.failingSince === null ? null : new Date(row.failingSince);
  const change = healthAfter({ failures: row.failures, failingSince }, outcomes, random);
  const disable = row.enabled ? change.disable : null;
  await run(
    em,
    sql`update webhooks
        set failures = ${change.failures}, failing_since = ${change.failingSince}, enabled = enabled and ${disable}::text is null, disabled_reason = coalesce(${disable}, disabled_reason),
            not_before = case when ${change.isRecovered} then null else coalesce(now() + make_interval(secs => ${change.restMs === null ? null : change.restMs / 1_000}::float8), not_before) end
      where id = ${webhookId}`,
  );
  if (change.isRecovered) await makeDue(em, webhookId);
  if (disable !== null)
    await recordDisabled(em, { id: makeId('evt'), accountId: row.accountId, webhookId, reason: disable, now });
  return { ...change, disable };
}

/** Makes every delivery of the webhook that waits for its retry due now. */
export async function makeDue(em: EntityManager, webhookId: string): Promise<void> {
  await run(
    em,
    sql`update webhook_deliveries set next_attempt_at = now() where webhook_id = ${webhookId} and status = 'pending' and next_attempt_at > now()`,
  );
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
