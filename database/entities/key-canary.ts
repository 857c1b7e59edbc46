import { defineEntity, p } from '@mikro-orm/postgresql';

const KeyCanarySchema = defineEntity({
  name: 'KeyCanary',
  tableName: 'key_canaries',
  properties: {
    keyId: p.text().primary(),
    /** A known text under this master key. */
    sealed: p.text(),
    /** The same under the key that the model relay has of it. Null: no process has written it yet. */
    relaySealed: p.text().strictNullable().default(null),
  },
});

/** Proof that a master key is the one that this database was used with. */
export class KeyCanary extends KeyCanarySchema.class {}
KeyCanarySchema.setClass(KeyCanary);
