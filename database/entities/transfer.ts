import { defineEntity, p } from '@mikro-orm/postgresql';
import { Account } from './account.ts';
import { Agent } from './agent.ts';
import { moment, nanoUsd } from './columns.ts';
import { RuntimeInterval } from './runtime-interval.ts';

/** A book of the ledger: the customer's, or one of the platform's. */
export type Book = 'customer' | 'credits' | 'revenue' | 'losses';

const TransferSchema = defineEntity({
  name: 'Transfer',
  tableName: 'transfers',
  indexes: [
    { name: 'transfers_account_index', properties: ['account', 'at'] },
    {
      name: 'transfers_debit_unique',
      expression:
        'create unique index "transfers_debit_unique" on "transfers" ("interval_id", "span_from") where kind = \'debit\'',
    },
    {
      name: 'transfers_tokens_index',
      expression:
        'create index "transfers_tokens_index" on "transfers" ("agent_id", "model", "span_from") where agent_id is not null',
    },
    {
      name: 'transfers_dedupe_key_unique',
      expression: 'create unique index "transfers_dedupe_key_unique" on "transfers" ("dedupe_key") where dedupe_key is not null',
    },
  ],
  checks: [
    { name: 'transfers_amount_positive', expression: 'amount_nano_usd > 0' },
    { name: 'transfers_kind_known', expression: "kind in ('credit', 'debit', 'reversal', 'writeoff')" },
    { name: 'transfers_key_known', expression: "kind = 'debit' or dedupe_key is not null" },
    {
      name: 'transfers_reversal_known',
      expression:
        "(kind = 'reversal') = (reverses_id is not null) and (kind <> 'reversal' or dedupe_key = 'reversal:' || reverses_id)",
    },
    { name: 'transfers_sides_differ', expression: 'from_book <> to_book' },
    {
      name: 'transfers_debit_has_span',
      expression:
        "kind <> 'debit' or (span_from < span_to and (interval_id is not null and price_nano_usd_per_hour is not null or agent_id is not null and model is not null and calls is not null))",
    },
  ],
  properties: {
    id: p.text().primary(),
    account: () => p.manyToOne(Account).mapToPk().createForeignKeyConstraint(false).index(false),
    at: moment(),
    kind: p.text().$type<'credit' | 'debit' | 'reversal' | 'writeoff'>(),
    fromBook: p.text().$type<Book>(),
    toBook: p.text().$type<Book>(),
    amountNanoUsd: nanoUsd(),
    interval: () => p.manyToOne(RuntimeInterval).mapToPk().strictNullable().createForeignKeyConstraint(false).index(false),
    spanFrom: moment().strictNullable(),
    spanTo: moment().strictNullable(),
    priceNanoUsdPerHour: nanoUsd().strictNullable(),
    /** Of a debit of tokens: its calls are those of this agent and model that ended in its span. */
    agent: () => p.manyToOne(Agent).mapToPk().strictNullable().default(null).createForeignKeyConstraint(false).index(false),
    model: p.text().strictNullable().default(null),
    calls: p.integer().strictNullable().default(null),
    reason: p.text().strictNullable(),
    /** The same key never books twice. A debit has none: its interval and the beginning of its span are its key. */
    dedupeKey: p.text().strictNullable(),
    /** The line that a reversal takes back. */
    reversesId: p.text().strictNullable(),
  },
});

/** One ledger line: an amount that moved from one book to another. Never changed, never deleted. */
export class Transfer extends TransferSchema.class {}
TransferSchema.setClass(Transfer);
