import { defineEntity, p } from '@mikro-orm/postgresql';
import { Account } from './account.ts';
import { moment } from './columns.ts';

const LoginCodeSchema = defineEntity({
  name: 'LoginCode',
  tableName: 'login_codes',
  properties: {
    account: () => p.manyToOne(Account).mapToPk().primary().foreignKeyName('login_codes_account_fk'),
    codeHash: p.text(),
    expiresAt: moment(),
    triesLeft: p.integer(),
    consumedAt: moment().strictNullable(),
    /** When codes were sent within the last hour. */
    sentAt: p.array().columnType('timestamptz[]').$type<Date[]>(),
  },
});

/** The one live login code of an account. */
export class LoginCode extends LoginCodeSchema.class {}
LoginCodeSchema.setClass(LoginCode);
