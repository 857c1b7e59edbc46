import { defineEntity, p } from '@mikro-orm/postgresql';
import { Account } from './account.ts';
import { moment, nanoUsd } from './columns.ts';
import { RuntimeInterval } from './runtime-interval.ts';

const TransferSchema = defineEntity({
  name: 'Transfer',
  tableName: 'transfers',
  indexes: [
    { name: 'transfers_account_index', properties: ['account', 'at', 'id'] },
    { name: 'transfers_interval_index', properties: ['interval'] },
  ],
  uniques: [{ name: 'transfers_dedupe_key_unique', properties: ['dedupeKey'] }],
  checks: [
    { name: 'transfers_amount_positive', expression: 'amount_nano_usd > 0' },
    { name: 'transfers_kind_known', expression: "kind in ('credit', 'debit', 'reversal', 'writeoff')" },
    { name: 'transfers_sides_differ', expression: 'from_book <> to_book' },
    {
      name: 'transfers_debit_has_span',
      expression: "kind <> 'debit' or (interval_id is not null and span_from < span_to and price_nano_usd_per_hour is not null)",
    },
  ],
  properties: {
    id: p.text().primary(),
    account: () => p.manyToOne(Account).mapToPk().foreignKeyName('transfers_account_fk').index(false),
    at: moment(),
    kind: p.text().$type<'credit' | 'debit' | 'reversal' | 'writeoff'>(),
    /** `customer`, or a book of the platform: `credits`, `revenue`, `losses`. */
    fromBook: p.text(),
    toBook: p.text(),
    amountNanoUsd: nanoUsd(),
    interval: () =>
      p
        .manyToOne(RuntimeInterval)
        .mapToPk()
        .strictNullable()
        .foreignKeyName('transfers_interval_fk')
        .deleteRule('no action')
        .index(false),
    spanFrom: moment().strictNullable(),
    spanTo: moment().strictNullable(),
    priceNanoUsdPerHour: nanoUsd().strictNullable(),
    reason: p.text().strictNullable(),
    /** The same key never books twice. */
    dedupeKey: p.text(),
  },
});

/** One ledger line: an amount that moved from one book to another. Never changed, never deleted. */
export class Transfer extends TransferSchema.class {}
TransferSchema.setClass(Transfer);
