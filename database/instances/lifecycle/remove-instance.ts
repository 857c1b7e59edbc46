import type { EntityManager } from '@mikro-orm/postgresql';
import type { DeleteResult, Kysely } from 'kysely';
import { closeInterval } from '../../billing/intervals.ts';
import { freeSlot } from '../slots.ts';
import { db } from '../../db.ts';
import type { Db } from '../../db.ts';
import { NOW } from '../../sql.ts';
import { changeLifecycle } from './change-lifecycle.ts';

const BATCH = 5_000;

/** Removes one batch, and answers how many rows that were. */
type Removal = (of: Kysely<Db>, instanceId: string) => Promise<bigint>;

/** What goes with an instance, in the order in which rows point at each other. */
const REMOVALS: readonly Removal[] = [
  async (of, instanceId) => {
    const { numUpdatedRows } = await of
      .updateTable('Webhook')
      .set({ deletedAt: NOW, enabled: false, secret: '', previousSecret: null })
      .where('instance', '=', instanceId)
      .where('deletedAt', 'is', null)
      .executeTakeFirst();
    return numUpdatedRows;
  },
  async (of, instanceId) => {
    const batch = of
      .selectFrom('Event')
      .select('id')
      .where('instance', '=', instanceId)
      .where('deleted', '=', false)
      .limit(BATCH);
    const { numUpdatedRows } = await of.updateTable('Event').set(EMPTY_EVENT).where('id', 'in', batch).executeTakeFirst();
    return numUpdatedRows;
  },
  async (of, instanceId) => {
    const batch = of.selectFrom('Message').select('id').where('instance', '=', instanceId).limit(BATCH);
    return deleted(of.deleteFrom('Message').where('id', 'in', batch));
  },
  async (of, instanceId) => {
    const batch = of
      .selectFrom('Conversation as c')
      .innerJoin('Agent as a', 'a.id', 'c.agent')
      .select('c.id')
      .where('a.instance', '=', instanceId)
      .limit(BATCH);
    return deleted(of.deleteFrom('Conversation').where('id', 'in', batch));
  },
  async (of, instanceId) => {
    const batch = of
      .selectFrom('AgentFile as f')
      .innerJoin('Agent as a', 'a.id', 'f.agent')
      .select(['f.agent', 'f.path'])
      .where('a.instance', '=', instanceId)
      .limit(BATCH)
      .$asTuple('agent', 'path');
    return deleted(of.deleteFrom('AgentFile').where(({ eb, refTuple }) => eb(refTuple('agent', 'path'), 'in', batch)));
  },
  async (of, instanceId) => {
    const batch = of.selectFrom('InstanceSecret').select('key').where('instance', '=', instanceId).limit(BATCH);
    return deleted(of.deleteFrom('InstanceSecret').where('instance', '=', instanceId).where('key', 'in', batch));
  },
  async (of, instanceId) => {
    // Each with its files, of 5 MiB at most.
    const batch = of.selectFrom('InstanceSkill').select('id').where('instance', '=', instanceId).limit(10);
    return deleted(of.deleteFrom('InstanceSkill').where('id', 'in', batch));
  },
  async (of, instanceId) => {
    const batch = of.selectFrom('CronJob').select('id').where('instance', '=', instanceId).limit(BATCH);
    return deleted(of.deleteFrom('CronJob').where('id', 'in', batch));
  },
  async (of, instanceId) => deleted(of.deleteFrom('ClaudeAgentPlace').where('instance', '=', instanceId)),
  async (of, instanceId) => deleted(of.deleteFrom('ClaudeEnvironment').where('instance', '=', instanceId)),
  async (of, instanceId) => {
    const batch = of.selectFrom('ClaudeSession').select('id').where('instance', '=', instanceId).limit(BATCH);
    return deleted(of.deleteFrom('ClaudeSession').where('id', 'in', batch));
  },
  async (of, instanceId) => deleted(of.deleteFrom('GatewayRefusal').where('instance', '=', instanceId)),
  async (of, instanceId) => {
    const batch = of.selectFrom('EventOccurrence').select('key').where('instance', '=', instanceId).limit(BATCH);
    return deleted(of.deleteFrom('EventOccurrence').where('instance', '=', instanceId).where('key', 'in', batch));
  },
];

/** What is left of an event: its number and its kind. */
const EMPTY_EVENT = {
  deleted: true,
  agentSlug: null,
  agentName: null,
  source: null,
  messageId: null,
  content: null,
  contentTruncated: false,
  finishReason: null,
  jobName: null,
  errorCode: null,
  errorMessage: null,
};

async function deleted(statement: { executeTakeFirst(): Promise<DeleteResult> }): Promise<bigint> {
  const { numDeletedRows } = await statement.executeTakeFirst();
  return numDeletedRows;
}

/**
 * Removes what a destroyed instance held, in transactions of bounded size. Its agents stay as rows without names, and
 * its events as numbers, because usage and the sequence point at them. Repeating it is harmless.
 */
export async function removeInstanceData(em: EntityManager, instanceId: string, signal: AbortSignal): Promise<void> {
  for (const remove of REMOVALS) {
    for (let isDone = false; !isDone;) {
      signal.throwIfAborted();
      isDone = (await remove(db(em), instanceId)) === 0n;
    }
  }
  await db(em)
    .updateTable('Agent')
    .set(({ fn }) => ({
      name: '',
      displayName: '',
      status: 'deleting',
      deletedAt: fn.coalesce('deletedAt', NOW),
      removedAt: fn.coalesce('removedAt', NOW),
    }))
    .where('instance', '=', instanceId)
    .execute();
}

interface Destroyed {
  instanceId: string;
  epoch: number;
  maxRunning: number;
}

/** The instance is gone: a tombstone from now on, in the caller's transaction. False when a newer attempt has begun. */
export async function finishDestroy(em: EntityManager, { instanceId, epoch, maxRunning }: Destroyed): Promise<boolean> {
  const destroyed = await changeLifecycle(em, {
    instanceId,
    happening: { kind: 'destroyed' },
    allows: (row) => row.epoch === epoch && row.desiredStatus === 'destroyed' && row.deletedAt === null,
  });
  if (!destroyed) return false;
  await closeInterval(em, instanceId);
  await freeSlot(em, instanceId, maxRunning);
  return true;
}
