import type { EntityManager, MikroORM } from '@mikro-orm/postgresql';
import type { Expression } from 'kysely';
import type { Encryption } from '../../lib/crypto/encryption.ts';
import { runTransaction } from '../run-transaction.ts';
import { secretPlace } from '../secret-place.ts';
import { webhookPlace } from '../webhook-place.ts';
import { db } from '../db.ts';
import { asNumber, sql } from '../sql.ts';

const BATCH = 200;

/** One encrypted value and where it stands. */
interface Sealed {
  /** Names the row, for the update. */
  row: string[];
  place: string;
  value: string;
}

/** One column of encrypted values. */
interface Column {
  name: string;
  /** Rows that are encrypted under other keys than this one, locked, up to a limit. */
  find(em: EntityManager, activeKeyId: string, limit: number): Promise<Sealed[]>;
  count(em: EntityManager, activeKeyId: string): Promise<number>;
  update(em: EntityManager, row: readonly string[], value: string): Promise<void>;
}

/** The name of the key stands in the encrypted value. */
const keyOf = (value: Expression<string | null>) => sql<string>`split_part(${value}, '.', 2)`;

const secrets: Column = {
  name: 'secrets',
  async find(em, activeKeyId, limit) {
    const rows = await db(em)
      .selectFrom('InstanceSecret as secret')
      .innerJoin('Instance as instances', 'instances.id', 'secret.instance')
      .select(['instances.account as accountId', 'secret.instance as instanceId', 'secret.key', 'secret.value'])
      .where((eb) => eb(keyOf(eb.ref('secret.value')), '<>', activeKeyId))
      .orderBy('secret.instance')
      .orderBy('secret.key')
      .limit(limit)
      .forUpdate('secret')
      .execute();
    return rows.map(({ value, ...of }) => ({ row: [of.instanceId, of.key], place: secretPlace(of), value }));
  },
  async count(em, activeKeyId) {
    const { count } = await db(em)
      .selectFrom('InstanceSecret')
      .select((eb) => asNumber(eb.fn.countAll()).as('count'))
      .where((eb) => eb(keyOf(eb.ref('value')), '<>', activeKeyId))
      .executeTakeFirstOrThrow();
    return count;
  },
  async update(em, [instance = '', key = ''], value) {
    await db(em).updateTable('InstanceSecret').set({ value }).where('instance', '=', instance).where('key', '=', key).execute();
  },
};

function webhookColumn(column: 'secret' | 'previousSecret', name: string): Column {
  const underOldKeys = (em: EntityManager, activeKeyId: string) =>
    db(em)
      .selectFrom('Webhook')
      .where((eb) => eb(keyOf(eb.ref(column)), '<>', activeKeyId));
  return {
    name,
    async find(em, activeKeyId, limit) {
      const rows = await underOldKeys(em, activeKeyId).select(['id', column]).orderBy('id').limit(limit).forUpdate().execute();
      return rows.map((row) => ({ row: [row.id], place: webhookPlace(row.id), value: row[column] ?? '' }));
    },
    async count(em, activeKeyId) {
      const { count } = await underOldKeys(em, activeKeyId)
        .select((eb) => asNumber(eb.fn.countAll()).as('count'))
        .executeTakeFirstOrThrow();
      return count;
    },
    async update(em, [id = ''], value) {
      await db(em)
        .updateTable('Webhook')
        .set(column === 'secret' ? { secret: value } : { previousSecret: value })
        .where('id', '=', id)
        .execute();
    },
  };
}

const COLUMNS: readonly Column[] = [
  secrets,
  webhookColumn('secret', 'webhook secrets'),
  webhookColumn('previousSecret', 'earlier webhook secrets'),
];

export interface RotationProgress {
  name: string;
  done: number;
  total: number;
}

interface Rotation {
  encryption: Encryption;
  activeKeyId: string;
  onProgress: (progress: RotationProgress) => void;
}

/**
 * Encrypts everything at rest that is under an older key with the active one, in transactions of bounded size, while
 * everything else goes on. It may be killed and begun again. Rejects when a value's key is not among the master keys.
 */
export async function rotateKeys(orm: MikroORM, { encryption, activeKeyId, onProgress }: Rotation): Promise<number> {
  let all = 0;
  for (const column of COLUMNS) {
    const total = await column.count(orm.em.fork(), activeKeyId);
    let done = 0;
    onProgress({ name: column.name, done, total });
    for (let found = BATCH; found === BATCH;) {
      found = await runTransaction(orm.em, async (em) => {
        const rows = await column.find(em, activeKeyId, BATCH);
        for (const { row, place, value } of rows)
          await column.update(em, row, encryption.encrypt(encryption.decrypt(value, place), place));
        return rows.length;
      });
      done += found;
      if (found > 0) onProgress({ name: column.name, done, total: Math.max(total, done) });
    }
    all += done;
  }
  return all;
}
