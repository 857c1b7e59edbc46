import { defineEntity, p } from '@mikro-orm/postgresql';
import { moment, nanoUsd } from './columns.ts';

const AccountSchema = defineEntity({
  name: 'Account',
  tableName: 'accounts',
  uniques: [{ name: 'accounts_email_unique', properties: ['email'] }],
  indexes: [
    {
      name: 'accounts_exhausts_index',
      expression: 'create index "accounts_exhausts_index" on "accounts" ("exhausts_at") where exhausts_at is not null',
    },
    {
      name: 'accounts_notice_index',
      expression: 'create index "accounts_notice_index" on "accounts" ("notice_at") where notice_at is not null',
    },
    {
      name: 'accounts_deleted_index',
      expression:
        'create index "accounts_deleted_index" on "accounts" ("deleted_at") where deleted_at is not null and email <> id || \'@deleted.invalid\'',
    },
    {
      name: 'accounts_console_link_unique',
      expression:
        'create unique index "accounts_console_link_unique" on "accounts" ("console_link_hash") where console_link_hash is not null',
    },
  ],
  checks: [{ name: 'accounts_balance_not_negative', expression: 'balance_nano_usd >= 0' }],
  properties: {
    id: p.text().primary(),
    email: p.text(),
    name: p.text(),
    emailVerifiedAt: moment().strictNullable(),
    /** The address was registered a second time before it was verified. */
    registrationContested: p.boolean().name('met_unverified').default(false),
    /** Tokens carry it; a new version voids the old ones. */
    tokenVersion: p.integer().default(0),
    /** The sum of its ledger lines, kept by transfer(). */
    balanceNanoUsd: nanoUsd().default(0),
    createdAt: moment(),
    /** The end of its latest debit: no credit is entered before it. */
    debitedUntil: moment().strictNullable().default(null),
    lastCreditAt: moment().strictNullable().default(null),
    /** When its money may be used up, at the earliest; null when nothing runs. */
    exhaustsAt: moment().strictNullable().default(null),
    /** When it is to be warned next, at the earliest. */
    noticeAt: moment().strictNullable().default(null),
    /** The last low-balance warning that it got: how many hours the money lasted then at most. */
    lowToldHours: p.smallint().strictNullable().default(null),
    /** When its owner deleted it. Its address is kept for a while longer, its ledger for good. */
    deletedAt: moment().strictNullable().default(null),
    /** It may do in the console what the operator token allows. */
    isOperator: p.boolean().default(false),
    /** SHA-256 of the one live link that signs in to the console; null when there is none, or it was used. */
    consoleLinkHash: p.blob().strictNullable().default(null),
    consoleLinkExpiresAt: moment().strictNullable().default(null),
  },
});

/** A customer. */
export class Account extends AccountSchema.class {}
AccountSchema.setClass(Account);
