import type { EntityManager } from '@mikro-orm/postgresql';
import { runTransaction } from '../run-transaction.ts';
import { BILLED, LOST, msBetween, PRICE, provenUntil } from './meter-sql.ts';
import { columns } from '../db.ts';
import { Instance } from '../entities/instance.ts';
import { RuntimeInterval } from '../entities/runtime-interval.ts';
import { Transfer } from '../entities/transfer.ts';
import { WatchShard } from '../entities/watch-shard.ts';
import { fetchRow, fetchRows } from '../rows.ts';
import type { RowOf } from '../rows.ts';
import { asNumber, asText, epochMs, run, sql } from '../sql.ts';
import type { Sql } from '../sql.ts';

/** The most hours of one interval that are debited at once; the next pass debits the rest. */
const HOURS_AT_ONCE = 48;

const CHARGE = {
  accountId: columns(RuntimeInterval, 'looked').account,
  nanoUsd: asText(sql<bigint>`coalesce(charged, 0)`),
  lines: asNumber(sql<bigint>`coalesce(lines, 0)`),
  /** In milliseconds since 1970; null when there is no line. */
  from: epochMs(sql<Date | null>`span_from`),
  to: epochMs(sql<Date | null>`span_to`),
  /** There is more to debit than was debited at once. */
  isPartial: sql<boolean>`is_partial`,
  /** An interval has got its last debit. */
  isClosing: sql<boolean>`is_closing`,
};

/** What was debited from one account. */
export type AccountCharge = RowOf<typeof CHARGE>;

/** Accounts behind `after`, up to and with `until`. */
export interface AccountRange {
  after: string;
  until: string;
}

const i = columns(RuntimeInterval, 'i');
const instance = columns(Instance, 'instances');
const shard = columns(WatchShard, 'shard');

/** `now`, and the last full hour up to which any shard's gateways can be proven to have run. */
const clockAt = (now: Date): Sql => sql`clock as materialized (
  select now, date_bin('1 hour', greatest(now, (select max(${columns(WatchShard).aliveUntil}) from watch_shards)), 'epoch') as hour
    from (select ${now}::timestamptz as now) given
)`;

/** Leaves out, before any join, open intervals that are debited up to the last full hour. */
const MAY_BE_DUE = sql`not ${i.settled} and (${i.endedAt} is not null or ${BILLED} < clock.hour)`;

/** Ranges of accounts with something to debit, as it seems, of about so many intervals each. */
export async function* dueRanges(em: EntityManager, now: Date, intervals: number): AsyncGenerator<AccountRange> {
  for (let after = ''; ;) {
    const found = await runTransaction(em, async (transaction) => {
      await planByIndex(transaction);
      return fetchRow(
        transaction,
        { until: sql<string | null>`max(${columns(RuntimeInterval).account})`, count: asNumber(sql<bigint>`count(*)`) },
        (fields) => sql`
          with ${clockAt(now)}
          select ${fields}
            from (select ${i.account} from clock cross join runtime_intervals i
                   where ${i.account} > ${after} and ${MAY_BE_DUE} order by ${i.account} limit ${intervals}) candidate`,
      );
    });
    if (!found || found.until === null) return;
    yield { after, until: found.until };
    if (found.count < intervals) return;
    after = found.until;
  }
}

/** The planner's estimates are far off here: JIT takes longer than the work, and a sequential scan longer than the batch. */
async function planByIndex(em: EntityManager): Promise<void> {
  await run(em, sql`select set_config('jit', 'off', true), set_config('enable_seqscan', 'off', true)`);
}

/** The proof cannot advance any more: the interval has ended, and its gateway process is out of use. */
const IS_FINAL = sql`(${i.endedAt} is not null and (${i.endProven} or
  ${instance.bootId} is distinct from ${i.bootId}
    and (coalesce(${LOST} <= ${i.endedAt}, false) or coalesce(${shard.aliveUntil}, clock.now) >= ${i.endedAt})))`;

/** Up to where an interval is to be debited now: its end, or the last full hour that is proven. */
const DUE = sql`case when ${IS_FINAL} then greatest(${BILLED}, ${provenUntil(sql`clock.now`)})
                  else date_bin('1 hour', ${provenUntil(sql`clock.now`)}, 'epoch') end`;

/**
 * Writes the debits of these accounts' intervals up to what is proven, of those that have ended to their end and of the
 * others by full hours, and moves the intervals' watermarks. Answers for each account that was looked at. Locks the
 * intervals, and passes over those that are locked.
 */
export async function writeDebits(em: EntityManager, now: Date, { after, until }: AccountRange): Promise<AccountCharge[]> {
  await planByIndex(em);
  const c = columns(RuntimeInterval);
  const t = columns(Transfer);
  return fetchRows(
    em,
    CHARGE,
    (fields) => sql`
      with ${clockAt(now)}, ${PRICE}, due as materialized (
        select ${i.id}, ${i.account}, ${i.remainder}, ${BILLED} as billed, ${IS_FINAL} as is_final, ${DUE} as until
          from clock cross join runtime_intervals i
          join instances on ${instance.id} = ${i.instance}
          join watch_shards shard on ${shard.shard} = ${instance.shard}
         where ${i.account} > ${after} and ${i.account} <= ${until} and ${MAY_BE_DUE} and (${IS_FINAL} or ${DUE} > ${BILLED})
           for update of i skip locked
      ), chosen as materialized (
        select ${c.id}, ${c.account}, ${c.remainder}, billed, is_final, until, least(until, longest) as upto
          from (select *, date_bin('1 hour', billed, 'epoch') + make_interval(hours => ${HOURS_AT_ONCE}) as longest from due) due
      ), ${PIECES}, booked as (
        insert into transfers (${t.id}, ${t.account}, ${t.at}, ${t.kind}, ${t.fromBook}, ${t.toBook}, ${t.amountNanoUsd}, ${t.interval},
                               ${t.spanFrom}, ${t.spanTo}, ${t.priceNanoUsdPerHour})
        select 'txn_' || replace(uuidv7()::text, '-', ''), ${c.account}, span_to, 'debit', 'customer', 'revenue',
               whole + total / 3600000 - (total - part) / 3600000, ${c.id}, span_from, span_to, per_hour
          from line where whole > 0 or total / 3600000 > (total - part) / 3600000
        on conflict (${t.interval}, ${t.spanFrom}) where ${t.kind} = 'debit' do nothing
        returning ${t.account}, ${t.amountNanoUsd}, ${t.spanFrom} as span_from, ${t.spanTo} as span_to
      ), moved as (
        update runtime_intervals i
           set ${c.billedUntil} = upto, ${c.settled} = is_final and upto = until, ${c.remainder} = coalesce(ends.total % 3600000, ${i.remainder})
          from chosen left join (select ${c.id}, max(total) as total from line group by ${c.id}) ends on ends.${c.id} = chosen.${c.id}
         where ${i.id} = chosen.${c.id}
      )
      select ${fields}
        from (select ${c.account}, bool_or(upto < until) as is_partial, bool_or(is_final) as is_closing from chosen group by ${c.account}) looked
        left join (select ${t.account}, sum(${t.amountNanoUsd}) as charged, count(*) as lines, min(span_from) as span_from, max(span_to) as span_to
                     from booked group by ${t.account}) sums on sums.${t.account} = looked.${c.account}`,
  );
}

/** The intervals `chosen`, cut at full hours and changes of the price, and what each piece costs. */
const PIECES = sql`piece as (
    select chosen.*, span.span_from, span.span_to, price.per_hour, price.per_hour * ${msBetween(sql`span.span_from`, sql`span.span_to`)} as units
      from chosen
      cross join lateral generate_series(date_bin('1 hour', billed, 'epoch'), upto - interval '1 millisecond', interval '1 hour') hour
      join price on price.starts_at < least(upto, hour + interval '1 hour') and price.ends_at > greatest(billed, hour)
      cross join lateral (select greatest(billed, hour, price.starts_at) as span_from,
                                 least(upto, hour + interval '1 hour', price.ends_at) as span_to) span
  ), line as materialized (
    -- Whole nano-dollars of each piece, and what the rounding of the pieces before it has left over.
    select ${columns(RuntimeInterval).id}, ${columns(RuntimeInterval).account}, span_from, span_to, per_hour,
           units / 3600000 as whole, (units % 3600000)::int as part,
           ${columns(RuntimeInterval).remainder}
             + sum((units % 3600000)::int) over (partition by ${columns(RuntimeInterval).id} order by span_from) as total
      from piece
  )`;
