import { defineEntity, p } from '@mikro-orm/postgresql';
import { Account } from './account.ts';
import { moment } from './columns.ts';

const LoginCodeSchema = defineEntity({
  name: 'LoginCode',
  tableName: 'requester_login_codes',
  properties: {
    account: () => p.manyToOne(Account).mapToPk().primary().foreignKeyName('requester_login_codes_account_fk'),
    /** An IPv4 address, or a /64 of IPv6. */
    requester: p.text().primary(),
    codeHash: p.text(),
    expiresAt: moment(),
    triesLeft: p.integer(),
    consumedAt: moment().strictNullable(),
    /** When codes were sent within the last hour. */
    sentAt: p.array().columnType('timestamptz[]').$type<Date[]>(),
    /** The last login with a code that this requester both asked for and entered. */
    provenAt: moment().strictNullable().default(null),
  },
});

/** The one live login code that one requester has for an account. */
export class LoginCode extends LoginCodeSchema.class {}
LoginCodeSchema.setClass(LoginCode);
