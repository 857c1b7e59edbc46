import { defineEntity, p } from '@mikro-orm/postgresql';
import { moment } from './columns.ts';

const RateWindowSchema = defineEntity({
  name: 'RateWindow',
  tableName: 'rate_windows',
  properties: {
    /** `account:<id>` or `address:<address>`. */
    subject: p.text().primary(),
    startedAt: moment(),
    /** What processes have taken for themselves, whether they have used it yet or not. */
    used: p.integer(),
  },
});

/** How much an account or an address has used of a rate limit since this window began. */
export class RateWindow extends RateWindowSchema.class {}
RateWindowSchema.setClass(RateWindow);
