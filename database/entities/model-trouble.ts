import { defineEntity, p } from '@mikro-orm/postgresql';
import { moment } from './columns.ts';

const ModelTroubleSchema = defineEntity({
  name: 'ModelTrouble',
  tableName: 'model_troubles',
  properties: {
    /** As PROVIDERS names it. */
    provider: p.text().primary(),
    /** As the provider names the model. */
    upstream: p.text().primary(),
    /** In one word of relay/routes/circuit.ts. */
    reason: p.text(),
    since: moment(),
    /** When it is tried again. Later than that nothing is known. */
    until: moment(),
  },
});

/** A model that a provider does not answer for at the moment, as a relay saw it last. */
export class ModelTrouble extends ModelTroubleSchema.class {}
ModelTroubleSchema.setClass(ModelTrouble);
