import type { EntityManager } from '@mikro-orm/postgresql';
import type { StepFailure } from '../../domain/failures.ts';
import type { LifecycleRow } from '../../domain/lifecycle.ts';
import { query, sql } from '../sql.ts';

/** The row of an instance as far as the reconciler needs it. */
export interface InstanceLifecycle extends LifecycleRow {
  accountId: string;
  runtimeId: string;
  epoch: number;
  killFirst: boolean;
  startNotBefore: Date | null;
  restartNotBefore: Date | null;
  hasSlot: boolean;
  deaths: Date[];
  /** The failure with which the next start gives up at once; null: it may start. */
  giveUpFor: StepFailure | null;
}

const COLUMNS = sql`
  account_id as "accountId", runtime_id as "runtimeId", desired_status as "desiredStatus", status,
  power_generation::float8 as "powerGeneration", error_generation::float8 as "errorGeneration",
  content_generation::float8 as "contentGeneration", applied_content_generation::float8 as "appliedContentGeneration",
  restart_generation::float8 as "restartGeneration", applied_restart_generation::float8 as "appliedRestartGeneration",
  boot_id as "bootId", epoch::float8 as epoch, kill_first as "killFirst", (extract(epoch from start_not_before) * 1000)::float8 as "startNotBefore",
  (extract(epoch from restart_not_before) * 1000)::float8 as "restartNotBefore", has_slot as "hasSlot", to_json(deaths) as deaths,
  give_up_for as "giveUpFor", deleted_at is not null as "isGone"`;

interface FoundRow extends Omit<InstanceLifecycle, 'hasOpenInterval' | 'deaths' | 'startNotBefore' | 'restartNotBefore'> {
  startNotBefore: number | null;
  restartNotBefore: number | null;
  deaths: string[];
}

interface FindOptions {
  /** Holds the row until the end of the transaction. */
  lock: boolean;
}

/** Null when there never was such an instance. */
export async function findLifecycle(
  em: EntityManager,
  instanceId: string,
  { lock }: FindOptions,
): Promise<InstanceLifecycle | null> {
  const [row] = await query<FoundRow>(
    em,
    sql`select ${COLUMNS} from instances where id = ${instanceId} ${lock ? sql`for update` : sql``}`,
  );
  if (!row) return null;
  // A statement of its own: what was committed while the first one waited for the lock counts too.
  const [interval] = await query<{ isOpen: boolean }>(
    em,
    sql`select exists (select from runtime_intervals where instance_id = ${instanceId} and ended_at is null) as "isOpen"`,
  );
  return {
    ...row,
    startNotBefore: row.startNotBefore === null ? null : new Date(row.startNotBefore),
    restartNotBefore: row.restartNotBefore === null ? null : new Date(row.restartNotBefore),
    deaths: row.deaths.map((at) => new Date(at)),
    hasOpenInterval: interval?.isOpen ?? false,
  };
}

/** Null when there never was such an instance. */
export async function findRuntimeId(em: EntityManager, instanceId: string): Promise<string | null> {
  const [row] = await query<{ runtimeId: string }>(
    em,
    sql`select runtime_id as "runtimeId" from instances where id = ${instanceId}`,
  );
  return row?.runtimeId ?? null;
}

/** Null when there never was such an instance. */
export async function findPowerGeneration(em: EntityManager, instanceId: string): Promise<number | null> {
  const [row] = await query<{ generation: number }>(
    em,
    sql`select power_generation::float8 as generation from instances where id = ${instanceId}`,
  );
  return row?.generation ?? null;
}
