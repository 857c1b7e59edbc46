import { defineEntity, p } from '@mikro-orm/postgresql';
import { moment } from './columns.ts';
import { Instance } from './instance.ts';

const InstanceSecretSchema = defineEntity({
  name: 'InstanceSecret',
  tableName: 'instance_secrets',
  properties: {
    instance: () => p.manyToOne(Instance).mapToPk().primary().foreignKeyName('instance_secrets_instance_fk'),
    key: p.text().primary(),
    /** Encrypted, bound to this row (`secretPlace`). It names the key that it is encrypted with. */
    value: p.text(),
    updatedAt: moment(),
  },
});

/** A secret that the agents of an instance find in their environment. */
export class InstanceSecret extends InstanceSecretSchema.class {}
InstanceSecretSchema.setClass(InstanceSecret);
