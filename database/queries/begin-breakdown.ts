import type { EntityManager } from '@mikro-orm/postgresql';
import { STEP_FAILURES } from '../../domain/failures.ts';
import { afterBreakdown } from '../../domain/gateway-verdict.ts';
import type { MakeId } from '../../domain/ids.ts';
import { noteFailedStart } from './failed-starts.ts';
import { closeInterval } from './intervals.ts';
import { recordAudit } from './record-audit.ts';
import { handOverTurns } from './stamp-turns.ts';
import { wakeInstance } from './wake-instance.ts';
import { query, run, sql } from '../sql.ts';

export interface Breakdown {
  instanceId: string;
  /** The gateway process that it is about. */
  bootId: string;
  /** `gateway_damaged`: another process of it would refuse as well. */
  failure: 'gateway_broken' | 'gateway_damaged' | 'gateway_flood';
  now: Date;
  makeId: MakeId;
}

interface BrokenRow {
  accountId: string;
  breakdowns: string[];
  refusingSince: number | null;
}

/**
 * Takes a gateway process that is broken out of use: its meter ends at its first refusal, its turns wait for the next
 * process, and the reconciler is woken, which ends it and starts another, or gives up. Once per process, however many
 * report it: false, and nothing changed, when it takes no messages any more. Locks the instance, its interval, its
 * messages, then the account.
 */
export async function beginBreakdown(em: EntityManager, breakdown: Breakdown): Promise<boolean> {
  const { instanceId, failure, now, makeId } = breakdown;
  const row = await lockRow(em, breakdown);
  if (!row) return false;
  const { recent, pauseMs, giveUp } = afterBreakdown([...row.breakdowns.map((at) => new Date(at)), now], now);
  const isLast = giveUp || failure === 'gateway_damaged';
  const { code, message, retryable } = STEP_FAILURES[failure];
  await run(
    em,
    sql`update instances
        set boot_id = null, kill_first = true, status = 'provisioning', transition_kind = 'recovering',
            transition_started_at = ${now}, transition_attempt = 0, transition_step = null,
            start_not_before = ${now}::timestamptz + ${isLast ? 0 : pauseMs}::int * interval '1 millisecond', breakdowns = ${`{${recent.map((at) => at.toISOString()).join(',')}}`}::timestamptz[],
            ${noteFailedStart(now)}, give_up_for = ${isLast ? failure : null}, reason_code = ${code}, reason_message = ${message}, reason_at = ${now}, reason_retryable = ${retryable}
      where id = ${instanceId}`,
  );
  await run(em, sql`delete from gateway_refusals where instance_id = ${instanceId}`);
  // None of them ran when it was refused, and what did run was ended by us: that is no death.
  await handOverTurns(em, instanceId);
  await closeInterval(em, instanceId, row.refusingSince === null ? null : new Date(row.refusingSince));
  await wakeInstance(em, instanceId);
  await recordAudit(em, {
    id: makeId('aud'),
    accountId: row.accountId,
    instanceId,
    at: now,
    actor: 'system',
    action: 'instances.replace-gateway',
    target: instanceId,
    requestId: null,
    address: null,
  });
  return true;
}

async function lockRow(em: EntityManager, { instanceId, bootId }: Breakdown): Promise<BrokenRow | null> {
  const [row] = await query<BrokenRow>(
    em,
    sql`select account_id as "accountId", to_json(breakdowns) as breakdowns from instances
      where id = ${instanceId} and boot_id = ${bootId} and desired_status = 'running' and transition_kind is null for update`,
  );
  if (!row) return null;
  const [interval] = await query<Pick<BrokenRow, 'refusingSince'>>(
    em,
    sql`select (extract(epoch from refusing_since) * 1000)::float8 as "refusingSince"
       from runtime_intervals where instance_id = ${instanceId} and ended_at is null for update`,
  );
  return { ...row, refusingSince: interval?.refusingSince ?? null };
}
