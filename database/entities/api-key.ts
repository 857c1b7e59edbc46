import { defineEntity, p } from '@mikro-orm/postgresql';
import { Account } from './account.ts';
import type { KeyScope } from '../../domain/access/key-scopes.ts';
import { moment } from './columns.ts';
import { Instance } from './instance.ts';

const ApiKeySchema = defineEntity({
  name: 'ApiKey',
  tableName: 'api_keys',
  uniques: [{ name: 'api_keys_hash_unique', properties: ['hash'] }],
  indexes: [{ name: 'api_keys_account_index', properties: ['account', 'createdAt', 'id'] }],
  properties: {
    id: p.text().primary(),
    account: () => p.manyToOne(Account).mapToPk().foreignKeyName('api_keys_account_fk').index(false),
    name: p.text(),
    hash: p.blob(),
    prefix: p.text(),
    last4: p.text(),
    createdAt: moment(),
    lastUsedAt: moment().strictNullable().default(null),
    expiresAt: moment().strictNullable(),
    /** What it may do; null: everything. */
    scopes: p.array().$type<KeyScope[]>().strictNullable().default(null),
    /** The only instance that it sees; null: all of the account. */
    instance: () =>
      p
        .manyToOne(Instance)
        .mapToPk()
        .strictNullable()
        .default(null)
        .foreignKeyName('api_keys_instance_fk')
        .deleteRule('cascade')
        .index('api_keys_instance_index'),
    revokedAt: moment().strictNullable().default(null),
  },
});

/** A key for programs; only its hash is here. */
export class ApiKey extends ApiKeySchema.class {}
ApiKeySchema.setClass(ApiKey);
