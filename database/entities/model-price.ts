import { defineEntity, p } from '@mikro-orm/postgresql';
import { moment, nanoUsd } from './columns.ts';

const ModelPriceSchema = defineEntity({
  name: 'ModelPrice',
  tableName: 'model_prices',
  checks: [
    {
      name: 'model_prices_not_negative',
      expression: 'least(input_nano_usd, output_nano_usd, cache_read_nano_usd, cache_write_nano_usd) >= 0',
    },
  ],
  properties: {
    /** The public id of the model. */
    model: p.text().primary(),
    startsAt: moment().primary(),
    inputNanoUsd: nanoUsd(),
    outputNanoUsd: nanoUsd(),
    cacheReadNanoUsd: nanoUsd(),
    cacheWriteNanoUsd: nanoUsd(),
  },
});

/** What a million tokens of a model cost from a moment on, until its next prices. */
export class ModelPrice extends ModelPriceSchema.class {}
ModelPriceSchema.setClass(ModelPrice);
