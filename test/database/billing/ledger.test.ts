import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { MikroORM } from '@mikro-orm/postgresql';
import { findAccountMoney } from '../../../database/billing/account-money.ts';
import { debitDue } from '../../../database/billing/debit-due.ts';
import { grantCredit } from '../../../database/billing/grant-credit.ts';
import { reverseLine } from '../../../database/billing/reverse-line.ts';
import type { Reversal } from '../../../database/billing/reverse-line.ts';
import { verifyBilling } from '../../../database/billing/verify-billing.ts';
import { runTransaction } from '../../../database/run-transaction.ts';
import { createIdMaker } from '../../../domain/ids.ts';
import type { TestOrm } from '../../support/test-database.ts';
import { HOUR, MINUTE, openPriced, pings, PRICE, startRunning } from './bill-rows.ts';

const T0 = Date.parse('2025-03-01T10:20:00Z');
const at = (ms: number): Date => new Date(T0 + ms);
const makeId = createIdMaker(randomBytes);

let database: TestOrm;
let orm: MikroORM;

beforeEach(async () => {
  database = await openPriced(T0);
  ({ orm } = database);
});

afterEach(() => database.close());

interface Line {
  id: string;
  amount: string;
  intervalId: string | null;
  reason: string | null;
}

/** In the order of their times. */
const linesOf = (accountId: string, kind: string): Promise<Line[]> =>
  orm.em.fork().execute(
    `select id, (case when to_book = 'customer' then amount_nano_usd else -amount_nano_usd end)::text as amount, interval_id as "intervalId", reason
       from transfers where account_id = ? and kind = ? order by at, span_from`,
    [accountId, kind],
  );
const problems = async (): Promise<string[]> => (await verifyBilling(orm.em.fork())).problems;
const sweep = (ms: number): Promise<number> => debitDue(orm.em, { now: at(ms) });
const grant = (accountId: string, amountNanoUsd: bigint, ms: number): Promise<void> =>
  runTransaction(orm.em, (em) =>
    grantCredit(em, { id: makeId('txn'), accountId, amountNanoUsd, reason: 'more', now: at(ms), makeId }),
  );
const reverse = (lineId: string, ms: number): Promise<Reversal> =>
  runTransaction(orm.em, (em) => reverseLine(em, { lineId, reason: 'a mistake of ours', now: at(ms), makeId }));

describe('the ledger', () => {
  test('refuses every change of a line', async () => {
    await startRunning(orm, makeId, { at: T0, creditNanoUsd: 5n });
    for (const statement of ['update transfers set amount_nano_usd = 1', 'delete from transfers', 'truncate transfers'])
      await expect(orm.em.fork().execute(statement)).rejects.toThrow('ledger lines are never changed');
  });

  test('keeps what its lines stand on', async () => {
    await startRunning(orm, makeId, { at: T0, creditNanoUsd: 5n });
    const statements = [
      'delete from runtime_intervals',
      'truncate runtime_intervals cascade',
      `update runtime_intervals set account_id = 'other'`,
      'delete from accounts',
      'truncate accounts cascade',
    ];
    for (const statement of statements)
      await expect(orm.em.fork().execute(statement)).rejects.toThrow('the ledger stands on them');
  });

  test('takes no line of an account that there is not, or of an interval of another account', async () => {
    const [one, other] = [await startRunning(orm, makeId, { at: T0 }), await startRunning(orm, makeId, { at: T0 })];
    const insert = (accountId: string, intervalId: string | null): Promise<unknown> =>
      orm.em.fork().execute(
        `insert into transfers (id, account_id, at, kind, from_book, to_book, amount_nano_usd, interval_id, span_from, span_to,
                                price_nano_usd_per_hour, dedupe_key)
         values (?, ?, now(), case when ?::text is null then 'credit' else 'debit' end, 'customer', 'revenue', 1, ?, now() - interval '1 s', now(), 1, ?)`,
        [makeId('txn'), accountId, intervalId, intervalId, makeId('txn')],
      );
    const missing = 'needs its account, and an interval of that account';
    await expect(insert('acc_none', null)).rejects.toThrow(missing);
    await expect(insert(one.accountId, 'int_none')).rejects.toThrow(missing);
    await expect(insert(one.accountId, other.intervalId)).rejects.toThrow(missing);
    await insert(one.accountId, one.intervalId);
  });

  test('takes a debit of the same beginning once, and a correction of a line only as a whole', async () => {
    const { accountId } = await startRunning(orm, makeId, { at: T0, creditNanoUsd: 10n ** 9n });
    await pings(orm, T0 + HOUR);
    await sweep(HOUR);
    const [debit] = await linesOf(accountId, 'debit');
    const copy = (changes: Record<string, string>): Promise<unknown> => {
      const columns = ['account_id', 'at', 'amount_nano_usd', 'interval_id', 'span_from', 'span_to', 'price_nano_usd_per_hour'];
      const names = [...columns, ...Object.keys(changes)].join(', ');
      const values = [...columns, ...Object.values(changes)].join(', ');
      return orm.em
        .fork()
        .execute(
          `insert into transfers (id, ${names}) select 'txn_' || md5(random()::text), ${values} from transfers where id = ?`,
          [debit?.id],
        );
    };
    const again = copy({ kind: 'kind', from_book: 'from_book', to_book: 'to_book' });
    await expect(again).rejects.toThrow('transfers_debit_unique');
    const reversal = { kind: `'reversal'`, reverses_id: 'id', dedupe_key: `'reversal:' || id` };
    await expect(copy({ ...reversal, from_book: `'customer'`, to_book: `'revenue'` })).rejects.toThrow('takes back exactly one');
    const keyless = copy({ ...reversal, from_book: `'revenue'`, to_book: `'customer'`, dedupe_key: 'id' });
    await expect(keyless).rejects.toThrow('transfers_reversal_known');
    expect(await problems()).toEqual([]);
  });

  test('is found out by the verification when a line, a balance or a watermark is not right', async () => {
    const { intervalId, accountId } = await startRunning(orm, makeId, { at: T0, creditNanoUsd: 10n ** 9n });
    await pings(orm, T0 + 2 * HOUR);
    await sweep(2 * HOUR);
    const corrupt = async (statement: string, back: string): Promise<string[]> => {
      const em = orm.em.fork();
      await em.execute(`set session_replication_role = replica; ${statement}`);
      const found = await problems();
      await em.execute(`set session_replication_role = replica; ${back}; set session_replication_role = origin`);
      return found;
    };
    const line = `from transfers where interval_id = '${intervalId}' and span_from = '2025-03-01T11:00:00Z'`;
    const price = `update transfers set amount_nano_usd = amount_nano_usd`;
    expect(
      await corrupt(`${price} + 1 where id in (select id ${line})`, `${price} - 1 where id in (select id ${line})`),
    ).not.toEqual([]);
    const balance = `where id = '${accountId}'`;
    expect(
      await corrupt(
        `update accounts set balance_nano_usd = balance_nano_usd + 1 ${balance}`,
        `update accounts set balance_nano_usd = balance_nano_usd - 1 ${balance}`,
      ),
    ).toHaveLength(1);
    const mark = `where id = '${intervalId}'`;
    expect(
      await corrupt(
        `update runtime_intervals set billed_until = '2025-03-01T11:00:00Z' ${mark}`,
        `update runtime_intervals set billed_until = '2025-03-01T12:00:00Z' ${mark}`,
      ),
    ).not.toEqual([]);
    expect(await problems()).toEqual([]);
  });
});

describe('a correction', () => {
  test('takes back a debit by a line of its own, once', async () => {
    const { accountId, intervalId } = await startRunning(orm, makeId, { at: T0, creditNanoUsd: 10n ** 9n });
    await pings(orm, T0 + HOUR);
    await sweep(HOUR);
    const [debit] = await linesOf(accountId, 'debit');
    const first = await reverse(debit?.id ?? '', HOUR);
    expect(first).toMatchObject({ accountId, nanoUsd: 20_000_000n, isNew: true });
    expect(await reverse(debit?.id ?? '', HOUR + 1)).toEqual({ ...first, isNew: false });
    const both = await Promise.all([reverse(debit?.id ?? '', HOUR + 2), reverse(debit?.id ?? '', HOUR + 2)]);
    expect(both.map(({ isNew }) => isNew)).toEqual([false, false]);
    expect(await linesOf(accountId, 'reversal')).toEqual([
      { id: first.reversalId, amount: '20000000', intervalId, reason: 'a mistake of ours' },
    ]);
    expect((await findAccountMoney(orm.em.fork(), accountId, at(HOUR))).ledger).toBe(10n ** 9n);
    expect(await problems()).toEqual([]);
    await pings(orm, T0 + 3 * HOUR);
    await sweep(3 * HOUR);
    expect(await problems()).toEqual([]);
  });

  test('takes back a credit as long as it was not used, and moves the end of the money', async () => {
    const { accountId } = await startRunning(orm, makeId, { at: T0, creditNanoUsd: 2n * PRICE });
    const [credit] = await linesOf(accountId, 'credit');
    await grant(accountId, PRICE, MINUTE);
    await pings(orm, T0 + 2 * HOUR);
    // One hour of money is left, and this was two.
    await expect(reverse(credit?.id ?? '', 2 * HOUR)).rejects.toThrow('0.03 USD are left');
    const [, more] = await linesOf(accountId, 'credit');
    expect(await reverse(more?.id ?? '', HOUR)).toMatchObject({ nanoUsd: -PRICE });
    expect(await findAccountMoney(orm.em.fork(), accountId, at(2 * HOUR))).toMatchObject({ available: 0n });
    expect(await problems()).toEqual([]);
    await sweep(2 * HOUR);
    expect(await problems()).toEqual([]);
  });

  test('takes back nothing but credits and debits', async () => {
    const { accountId } = await startRunning(orm, makeId, { at: T0, creditNanoUsd: PRICE });
    await pings(orm, T0 + 2 * HOUR);
    await sweep(2 * HOUR);
    const [writeoff] = await linesOf(accountId, 'writeoff');
    await expect(reverse(writeoff?.id ?? '', 2 * HOUR)).rejects.toThrow('only credits and debits');
    await expect(reverse('txn_none', 2 * HOUR)).rejects.toThrow('no ledger line');
    const [debit] = await linesOf(accountId, 'debit');
    const { reversalId } = await reverse(debit?.id ?? '', 2 * HOUR);
    await expect(reverse(reversalId, 2 * HOUR)).rejects.toThrow('only credits and debits');
    expect(await problems()).toEqual([]);
  });
});
