import type { EntityManager } from '@mikro-orm/postgresql';
import { runTransaction } from '../run-transaction.ts';
import { BILLED, LOST, msBetween, PRICE, provenUntil } from './meter-sql.ts';
import { query, sql } from '../sql.ts';
import type { Sql } from '../sql.ts';

/** The most hours of one interval that are debited at once; the next pass debits the rest. */
const HOURS_AT_ONCE = 48;

/** What was debited from one account. */
export interface AccountCharge {
  accountId: string;
  nanoUsd: string;
  lines: number;
  /** In milliseconds since 1970; null when there is no line. */
  from: number | null;
  to: number | null;
  /** There is more to debit than was debited at once. */
  isPartial: boolean;
  /** An interval has got its last debit. */
  isClosing: boolean;
}

/** Accounts behind `after`, up to and with `until`. */
export interface AccountRange {
  after: string;
  until: string;
}

/** `now`, and the last full hour up to which any shard's gateways can be proven to have run. */
const clockAt = (now: Date): Sql => sql`clock as materialized (
  select now, date_bin('1 hour', greatest(now, (select max(alive_until) from watch_shards)), 'epoch') as hour
    from (select ${now}::timestamptz as now) given
)`;

/** Leaves out, before any join, open intervals that are debited up to the last full hour. */
const MAY_BE_DUE = sql`not i.settled and (i.ended_at is not null or ${BILLED} < clock.hour)`;

/** Ranges of accounts with something to debit, as it seems, of about so many intervals each. */
export async function* dueRanges(em: EntityManager, now: Date, intervals: number): AsyncGenerator<AccountRange> {
  for (let after = ''; ;) {
    const [found] = await runTransaction(em, async (transaction) => {
      await planByIndex(transaction);
      return query<{ until: string | null; count: number }>(
        transaction,
        sql`with ${clockAt(now)}
       select max(account_id) as until, count(*)::float8 as count
         from (select i.account_id from clock cross join runtime_intervals i
                where i.account_id > ${after} and ${MAY_BE_DUE} order by i.account_id limit ${intervals}) candidate`,
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
  await query(em, sql`select set_config('jit', 'off', true), set_config('enable_seqscan', 'off', true)`);
}

/** The proof cannot advance any more: the interval has ended, and its gateway process is out of use. */
const IS_FINAL = sql`(i.ended_at is not null and (i.end_proven or
  instances.boot_id is distinct from i.boot_id and (coalesce(${LOST} <= i.ended_at, false) or coalesce(shard.alive_until, clock.now) >= i.ended_at)))`;

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
  return query<AccountCharge>(
    em,
    sql`with ${clockAt(now)}, ${PRICE}, due as materialized (
       select i.id, i.account_id, i.remainder, ${BILLED} as billed, ${IS_FINAL} as is_final, ${DUE} as until
         from clock cross join runtime_intervals i
         join instances on instances.id = i.instance_id
         join watch_shards shard on shard.shard = instances.shard
        where i.account_id > ${after} and i.account_id <= ${until} and ${MAY_BE_DUE} and (${IS_FINAL} or ${DUE} > ${BILLED})
          for update of i skip locked
     ), chosen as materialized (
       select id, account_id, remainder, billed, is_final, until, least(until, longest) as upto
         from (select *, date_bin('1 hour', billed, 'epoch') + make_interval(hours => ${HOURS_AT_ONCE}) as longest from due) due
     ), piece as (
       select chosen.id, chosen.account_id, chosen.remainder, span.span_from, span.span_to, price.per_hour,
              price.per_hour * ${msBetween(sql`span.span_from`, sql`span.span_to`)} as units
         from chosen
         cross join lateral generate_series(date_bin('1 hour', billed, 'epoch'), upto - interval '1 millisecond', interval '1 hour') hour
         join price on price.starts_at < least(upto, hour + interval '1 hour') and price.ends_at > greatest(billed, hour)
         cross join lateral (select greatest(billed, hour, price.starts_at) as span_from,
                                    least(upto, hour + interval '1 hour', price.ends_at) as span_to) span
     ), line as materialized (
       -- Whole nano-dollars of each piece, and what the rounding of the pieces before it has left over.
       select id, account_id, span_from, span_to, per_hour, units / 3600000 as whole, (units % 3600000)::int as part,
              remainder + sum((units % 3600000)::int) over (partition by id order by span_from) as total
         from piece
     ), booked as (
       insert into transfers (id, account_id, at, kind, from_book, to_book, amount_nano_usd, interval_id, span_from, span_to,
                              price_nano_usd_per_hour)
       select 'txn_' || replace(uuidv7()::text, '-', ''), account_id, span_to, 'debit', 'customer', 'revenue',
              whole + total / 3600000 - (total - part) / 3600000, id, span_from, span_to, per_hour
         from line where whole > 0 or total / 3600000 > (total - part) / 3600000
       on conflict (interval_id, span_from) where kind = 'debit' do nothing
       returning account_id, amount_nano_usd, span_from, span_to
     ), moved as (
       update runtime_intervals i
          set billed_until = upto, settled = is_final and upto = until, remainder = coalesce(ends.total % 3600000, i.remainder)
         from chosen left join (select id, max(total) as total from line group by id) ends on ends.id = chosen.id
        where i.id = chosen.id
     )
     select looked.account_id as "accountId", coalesce(charged, 0)::text as "nanoUsd", coalesce(lines, 0)::float8 as lines,
            (extract(epoch from span_from) * 1000)::float8 as from, (extract(epoch from span_to) * 1000)::float8 as to,
            is_partial as "isPartial", is_closing as "isClosing"
       from (select account_id, bool_or(upto < until) as is_partial, bool_or(is_final) as is_closing from chosen group by account_id) looked
       left join (select account_id, sum(amount_nano_usd) as charged, count(*) as lines, min(span_from) as span_from, max(span_to) as span_to
                    from booked group by account_id) sums on sums.account_id = looked.account_id`,
  );
}
