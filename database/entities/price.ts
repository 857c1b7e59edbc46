import { defineEntity } from '@mikro-orm/postgresql';
import { moment, nanoUsd } from './columns.ts';

const PriceSchema = defineEntity({
  name: 'Price',
  tableName: 'prices',
  checks: [{ name: 'prices_not_negative', expression: 'nano_usd_per_hour >= 0' }],
  properties: {
    startsAt: moment().primary(),
    nanoUsdPerHour: nanoUsd(),
  },
});

/** What a running hour costs from a moment on, until the next one. */
export class Price extends PriceSchema.class {}
PriceSchema.setClass(Price);
