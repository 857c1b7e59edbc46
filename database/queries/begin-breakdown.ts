import type { EntityManager } from '@mikro-orm/postgresql';
import { STEP_FAILURES } from '../../domain/failures.ts';
import { afterBreakdown } from '../../domain/gateway-verdict.ts';
import type { MakeId } from '../../domain/ids.ts';
import { closeInterval } from './intervals.ts';
import { recordAudit } from './record-audit.ts';
import { handOverTurns } from './stamp-turns.ts';
import { wakeInstance } from './wake-instance.ts';

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
  await em.execute(
    `update instances
        set boot_id = null, kill_first = true, status = 'provisioning', transition_kind = 'recovering',
            transition_started_at = ?, transition_attempt = 0, transition_step = null,
            start_not_before = ?::timestamptz + ?::int * interval '1 millisecond', breakdowns = ?::timestamptz[],
            give_up_for = ?, reason_code = ?, reason_message = ?, reason_at = ?, reason_retryable = ?
      where id = ?`,
    [
      now,
      now,
      // Giving up waits for nothing.
      isLast ? 0 : pauseMs,
      `{${recent.map((at) => at.toISOString()).join(',')}}`,
      isLast ? failure : null,
      code,
      message,
      now,
      retryable,
      instanceId,
    ],
    'run',
  );
  await em.execute('delete from gateway_refusals where instance_id = ?', [instanceId], 'run');
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
  const [row] = await em.execute<BrokenRow[]>(
    `select account_id as "accountId", to_json(breakdowns) as breakdowns from instances
      where id = ? and boot_id = ? and desired_status = 'running' and transition_kind is null for update`,
    [instanceId, bootId],
  );
  if (!row) return null;
  const [interval] = await em.execute<Pick<BrokenRow, 'refusingSince'>[]>(
    `select (extract(epoch from refusing_since) * 1000)::float8 as "refusingSince"
       from runtime_intervals where instance_id = ? and ended_at is null for update`,
    [instanceId],
  );
  return { ...row, refusingSince: interval?.refusingSince ?? null };
}
