import type { EntityManager } from '@mikro-orm/postgresql';
import { runTransaction } from '../../run-transaction.ts';
import { BILLED, msBetween, PRICES, provenUntil } from './meter-sql.ts';
import { findShortages } from './find-shortages.ts';
import { lockAccounts, reckonExhaustion } from './reckon-exhaustion.ts';
import { holdPrices } from './set-price.ts';

/** Where a sweep goes on: behind this interval. */
interface SweepPlace {
  accountId: string;
  intervalId: string;
}

interface DebitBatch {
  /** How many intervals were looked at; none when the sweep is over. */
  intervals: number;
  lines: number;
  /** Null at the end. */
  next: SweepPlace | null;
  /** Some intervals were not debited to the end, so that the sweep has to begin again. */
  isPartial: boolean;
}

/** So many hours of one interval at once: what is left is next. */
const HOURS_AT_ONCE = 48;

const BATCH = 5_000;

interface Sweep {
  now: Date;
  signal?: AbortSignal;
  /** Called after each batch. */
  between?: () => Promise<void>;
  batch?: number;
}

/** Debits everything that is due, batch by batch, each in a transaction of its own. Answers how many lines were written. */
export async function debitDue(em: EntityManager, { now, signal, between, batch = BATCH }: Sweep): Promise<number> {
  const isOver = (): boolean => signal?.aborted ?? false;
  let lines = 0;
  let isPartial = true;
  while (isPartial && !isOver()) {
    isPartial = false;
    let after: SweepPlace | null = null;
    do {
      const limits = { now, after, limit: batch };
      const done: DebitBatch = await runTransaction(em, (transaction) => debitBatch(transaction, limits));
      lines += done.lines;
      isPartial ||= done.isPartial;
      after = done.next;
      await between?.();
    } while (after !== null && !isOver());
  }
  return lines;
}

/** Nothing is proven to come after this: it has ended, and its gateway is not in use any more. */
const IS_FINAL = `(i.ended_at is not null and (i.end_proven or
  instances.boot_id is distinct from i.boot_id and (coalesce(i.lost_at <= i.ended_at, false) or coalesce(shard.alive_until, clock.now) >= i.ended_at)))`;

/** Up to where an interval is to be debited now: its end, or the last full hour that is proven. */
const DUE = `case when ${IS_FINAL} then greatest(${BILLED}, ${provenUntil('clock.now')})
                  else date_trunc('hour', ${provenUntil('clock.now')}, 'UTC') end`;

const INTERVALS = `
  runtime_intervals i
  join instances on instances.id = i.instance_id
  join watch_shards shard on shard.shard = instances.shard`;

/**
 * Debits a batch of intervals in the caller's transaction, up to what is proven: those that have ended to their end,
 * the others by full hours. Each line has its interval and exact span, each interval remembers how far it is debited,
 * and what an account has no money for is the platform's loss. Passes over what another sweep works on. Locks
 * intervals, then accounts, in the order of their ids.
 */
async function debitBatch(
  em: EntityManager,
  { now, after, limit }: { now: Date; after: SweepPlace | null; limit: number },
): Promise<DebitBatch> {
  // Its estimates are far too high, and compiling would take longer than the work.
  await em.execute('set local jit = off', [], 'run');
  await holdPrices(em);
  const due = await lockDue(em, { now, after, limit });
  const last = due.at(-1);
  if (!last) return { intervals: 0, lines: 0, next: null, isPartial: false };
  const accountIds = [...new Set(due.map(({ accountId }) => accountId))];
  await lockAccounts(em, accountIds);
  const charges = await writeDebits(
    em,
    now,
    due.map(({ intervalId }) => intervalId),
  );
  await settleAccounts(em, now, charges);
  await reckonExhaustion(em, accountIds, now);
  return {
    intervals: due.length,
    lines: charges.reduce((sum, { lines }) => sum + lines, 0),
    next: due.length < limit ? null : last,
    isPartial: due.some(({ hours }) => hours > HOURS_AT_ONCE),
  };
}

async function lockDue(
  em: EntityManager,
  { now, after, limit }: { now: Date; after: SweepPlace | null; limit: number },
): Promise<(SweepPlace & { hours: number })[]> {
  const place = after ? 'and (i.account_id, i.id) > (?, ?)' : '';
  return em.execute(
    `with clock as materialized (
       select now, date_trunc('hour', greatest(now, (select max(alive_until) from watch_shards)), 'UTC') as hour
         from (select ?::timestamptz as now) given
     )
     select i.account_id as "accountId", i.id as "intervalId",
            coalesce(extract(epoch from ${DUE} - ${BILLED}) / 3600, 0)::float8 as hours
       from clock cross join ${INTERVALS}
      where not i.settled ${place}
        -- What is debited to the last full hour and goes on is passed over before anything is looked up.
        and (i.ended_at is not null or ${BILLED} < clock.hour)
        and (${IS_FINAL} or ${DUE} > ${BILLED})
      order by i.account_id, i.id limit ? for update of i skip locked`,
    after ? [now, after.accountId, after.intervalId, limit] : [now, limit],
  );
}

/** What was debited from one account. */
export interface AccountCharge {
  accountId: string;
  nanoUsd: string;
  lines: number;
  /** In milliseconds since 1970. */
  from: number;
  to: number;
  /** Money came in within that time. */
  hasCredit: boolean;
}

async function writeDebits(em: EntityManager, now: Date, intervalIds: readonly string[]): Promise<AccountCharge[]> {
  return em.execute(
    `with clock as materialized (select ?::timestamptz as now), chosen as materialized (
       select i.id, i.account_id, i.remainder, ${BILLED} as billed, ${IS_FINAL} and not ${isLong()} as is_settled,
              least(${DUE}, ${longest()}) as until
         from clock cross join jsonb_array_elements_text(?::jsonb) wanted join ${INTERVALS} on i.id = wanted
     ), piece as (
       select chosen.id, chosen.account_id, chosen.remainder, span.span_from, span.span_to, price.per_hour,
              price.per_hour * ${msBetween('span.span_from', 'span.span_to')} as units
         from chosen
         cross join lateral generate_series(date_trunc('hour', billed, 'UTC'), until - interval '1 millisecond', interval '1 hour') hour
         join ${PRICES} price on price.starts_at < least(until, hour + interval '1 hour') and price.ends_at > greatest(billed, hour)
         cross join lateral (select greatest(billed, hour, price.starts_at) as span_from,
                                    least(until, hour + interval '1 hour', price.ends_at) as span_to) span
     ), line as materialized (
       -- Whole nano-dollars of each piece, and what the rounding of the pieces before it has left over.
       select id, account_id, span_from, span_to, per_hour, units / 3600000 as whole, (units % 3600000)::int as part,
              remainder + sum((units % 3600000)::int) over (partition by id order by span_from) as total
         from piece
     ), booked as (
       insert into transfers (id, account_id, at, kind, from_book, to_book, amount_nano_usd, interval_id, span_from, span_to,
                              price_nano_usd_per_hour, dedupe_key)
       select 'txn_' || replace(uuidv7()::text, '-', ''), account_id, span_to, 'debit', 'customer', 'revenue',
              whole + total / 3600000 - (total - part) / 3600000, id, span_from, span_to, per_hour,
              'debit:' || id || ':' || (date_part('epoch', span_from) * 1000)::bigint
         from line where whole > 0 or total / 3600000 > (total - part) / 3600000
       on conflict (dedupe_key) do nothing
       returning account_id, amount_nano_usd, span_from, span_to
     ), moved as (
       update runtime_intervals i
          set billed_until = until, settled = is_settled, remainder = coalesce(ends.total % 3600000, i.remainder)
         from chosen left join (select id, max(total) as total from line group by id) ends on ends.id = chosen.id
        where i.id = chosen.id
     )
     select booked.account_id as "accountId", sum(amount_nano_usd)::text as "nanoUsd", count(*)::float8 as lines,
            (extract(epoch from min(span_from)) * 1000)::float8 as from, (extract(epoch from max(span_to)) * 1000)::float8 as to,
            coalesce(accounts.last_credit_at > min(span_from), false) as "hasCredit"
       from booked join accounts on accounts.id = booked.account_id group by booked.account_id, accounts.last_credit_at`,
    [now, JSON.stringify(intervalIds)],
  );
}

const longest = (): string => `date_trunc('hour', ${BILLED}, 'UTC') + interval '${HOURS_AT_ONCE} hours'`;
const isLong = (): string => `(${DUE} > ${longest()})`;

/** Moves the balances, and books what there was no money for as the platform's loss: no balance falls below zero. */
async function settleAccounts(em: EntityManager, now: Date, charges: readonly AccountCharge[]): Promise<void> {
  if (charges.length === 0) return;
  const shortages = await findShortages(em, charges);
  const rows = charges.map(({ accountId, nanoUsd, to }) => ({
    id: accountId,
    charged: nanoUsd,
    until: to,
    short: shortages.get(accountId) ?? '0',
  }));
  await em.execute(
    `with charge as (
       select accounts.id, charge.charged, to_timestamp(charge.until / 1000) as until,
              greatest(0, charge.charged - balance_nano_usd, charge.short) as loss
         from jsonb_to_recordset(?::jsonb) as charge (id text, charged bigint, until float8, short bigint)
         join accounts on accounts.id = charge.id
     ), written_off as (
       insert into transfers (id, account_id, at, kind, from_book, to_book, amount_nano_usd, reason, dedupe_key)
       select 'txn_' || replace(uuidv7()::text, '-', ''), id, ?, 'writeoff', 'losses', 'customer', loss, 'Ran on after the money was used up',
              'writeoff:' || uuidv7()
         from charge where loss > 0
     )
     update accounts
        set balance_nano_usd = balance_nano_usd - charge.charged + charge.loss,
            debited_until = greatest(debited_until, charge.until)
       from charge where accounts.id = charge.id`,
    [JSON.stringify(rows), now],
    'run',
  );
}
