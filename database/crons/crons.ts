import type { EntityManager } from '@mikro-orm/postgresql';
import type { Expression, NotNull } from 'kysely';
import { db } from '../db.ts';
import { anyOf, asNumber, isThere, sql } from '../sql.ts';

/** A job as its gateway shows it. */
export interface SeenCron {
  gatewayJobId: string;
  /** The agent's name inside the gateway. */
  gatewayAgentId: string;
  /** The id under which the API added it; null for the job of an agent. */
  cronId: string | null;
  name: string;
  message: string;
  enabled: boolean;
  /** JSON as the API shows it. */
  schedule: string | null;
  nextRunAt: Date | null;
  /** The conversation that its results are added to. */
  conversationId: string | null;
  updatedAt: Date;
}

/** The newest moment of a job that has passed when its gateway shows the next one. */
function dueAt(ref: (column: 'CronJob.nextRunAt' | 'CronJob.dueAt' | 'excluded.nextRunAt') => Expression<Date | null>) {
  const known = ref('CronJob.nextRunAt');
  return sql<Date | null>`case when ${known} <= clock_timestamp() and ${ref('excluded.nextRunAt')} is distinct from ${known}
    then ${known} else ${ref('CronJob.dueAt')} end`;
}

/** The present moment of the database's clock, also within a transaction. */
const CLOCK = sql<Date>`clock_timestamp()`;

/**
 * Writes down how a job is now, in the caller's transaction: under `newId` when it was not known. What the gateway
 * showed earlier never overwrites what it showed later, and a job that is gone stays so.
 */
export async function noteCron(em: EntityManager, instanceId: string, cron: SeenCron, newId: string): Promise<void> {
  const { gatewayJobId, gatewayAgentId, cronId } = cron;
  if (cronId !== null)
    await db(em)
      .updateTable('CronJob')
      .set({ gatewayJobId })
      .where('id', '=', cronId)
      .where('instance', '=', instanceId)
      .where('gatewayJobId', 'is', null)
      .where((eb) => {
        const taken = eb
          .selectFrom('CronJob as taken')
          .where('taken.instance', '=', instanceId)
          .where('taken.gatewayJobId', '=', gatewayJobId);
        return eb.not(isThere(taken));
      })
      .execute();
  const agent = await db(em)
    .selectFrom('Agent')
    .select('id')
    .where('instance', '=', instanceId)
    .where('gatewayAgentId', '=', gatewayAgentId)
    .executeTakeFirst();
  if (!agent) return;
  const { name, message, enabled, schedule, nextRunAt, conversationId, updatedAt: gatewayUpdatedAt } = cron;
  const definition = { name, message, enabled, schedule, nextRunAt, conversationId, gatewayUpdatedAt };
  await db(em)
    .insertInto('CronJob')
    .values({
      id: newId,
      instance: instanceId,
      agent: agent.id,
      gatewayJobId,
      createdBy: 'agent',
      ...definition,
      createdAt: CLOCK,
      seenAt: CLOCK,
    })
    .onConflict((conflict) =>
      conflict
        .constraint('cron_jobs_gateway_job_unique')
        .doUpdateSet(({ ref }) => ({
          seenAt: ref('excluded.seenAt'),
          dueAt: dueAt(ref),
          name: ref('excluded.name'),
          message: ref('excluded.message'),
          enabled: ref('excluded.enabled'),
          schedule: ref('excluded.schedule'),
          nextRunAt: ref('excluded.nextRunAt'),
          conversationId: ref('excluded.conversationId'),
          gatewayUpdatedAt: ref('excluded.gatewayUpdatedAt'),
        }))
        .where('CronJob.removedAt', 'is', null)
        .where((eb) =>
          eb.or([
            eb('CronJob.gatewayUpdatedAt', 'is', null),
            eb('CronJob.gatewayUpdatedAt', '<=', eb.ref('excluded.gatewayUpdatedAt')),
          ]),
        ),
    )
    .execute();
}

/** The job is gone from its gateway. Its name is kept. */
export async function noteCronRemoved(em: EntityManager, instanceId: string, gatewayJobId: string): Promise<void> {
  await db(em)
    .updateTable('CronJob')
    .set({ removedAt: CLOCK, nextRunAt: null })
    .where('instance', '=', instanceId)
    .where('gatewayJobId', '=', gatewayJobId)
    .where('removedAt', 'is', null)
    .execute();
}

/** The moment by the database clock, to be taken before a list of jobs is asked for. */
export async function databaseNow(em: EntityManager): Promise<Date> {
  const now = sql<string>`to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`;
  const row = await db(em).selectNoFrom(now.as('now')).executeTakeFirstOrThrow();
  return new Date(row.now);
}

/**
 * Marks every job of the instance as gone that is not listed and was last seen before the list was asked for. Deletes jobs
 * that the API did not hand over to the gateway within a day, and those that have been gone for 30 days.
 */
export async function noteCronsGone(
  em: EntityManager,
  { instanceId, listed, askedAt }: { instanceId: string; listed: readonly string[]; askedAt: Date },
): Promise<void> {
  await db(em)
    .updateTable('CronJob')
    .set({ removedAt: CLOCK, nextRunAt: null })
    .where('instance', '=', instanceId)
    .where('removedAt', 'is', null)
    .where('gatewayJobId', 'is not', null)
    .where('seenAt', '<', askedAt)
    .where('gatewayJobId', '<>', sql<string>`all(${[...listed]})`)
    .execute();
  await db(em)
    .deleteFrom('CronJob')
    .where('instance', '=', instanceId)
    .where((eb) =>
      eb.or([
        eb('removedAt', '<', sql<Date>`clock_timestamp() - interval '30 days'`),
        eb.and([eb('gatewayJobId', 'is', null), eb('createdAt', '<', sql<Date>`clock_timestamp() - interval '1 day'`)]),
      ]),
    )
    .execute();
}

/** The gateway's agent of a job, and its message; also of a job that is gone. Null when the job was never seen. */
export async function findSeenCron(
  em: EntityManager,
  { instanceId, gatewayJobId }: { instanceId: string; gatewayJobId: string },
): Promise<{ gatewayAgentId: string; message: string } | null> {
  const job = await db(em)
    .selectFrom('CronJob as j')
    .innerJoin('Agent as a', 'a.id', 'j.agent')
    .select(['a.gatewayAgentId', 'j.message'])
    .where('j.instance', '=', instanceId)
    .where('j.gatewayJobId', '=', gatewayJobId)
    .executeTakeFirst();
  return job ?? null;
}

/** Whether a job is going to run, as it was last seen. */
export async function hasNextRun(
  em: EntityManager,
  { instanceId, gatewayJobId }: { instanceId: string; gatewayJobId: string },
): Promise<boolean> {
  const job = await db(em)
    .selectFrom('CronJob')
    .select('id')
    .where('instance', '=', instanceId)
    .where('gatewayJobId', '=', gatewayJobId)
    .where('removedAt', 'is', null)
    .where('enabled', '=', true)
    .where('nextRunAt', 'is not', null)
    .executeTakeFirst();
  return job !== undefined;
}

/** The jobs of deleted agents that the gateway still has. */
export async function findOrphanCrons(em: EntityManager, instanceId: string): Promise<string[]> {
  const rows = await db(em)
    .selectFrom('CronJob as j')
    .innerJoin('Agent as a', 'a.id', 'j.agent')
    .select('j.gatewayJobId')
    .$narrowType<{ gatewayJobId: NotNull }>()
    .where('j.instance', '=', instanceId)
    .where('j.removedAt', 'is', null)
    .where('j.gatewayJobId', 'is not', null)
    .where('a.deletedAt', 'is not', null)
    .execute();
  return rows.map(({ gatewayJobId }) => gatewayJobId);
}

/** Which of these occurrences of an instance are recorded already. */
export async function findRecorded(em: EntityManager, instanceId: string, keys: readonly string[]): Promise<Set<string>> {
  const rows = await db(em)
    .selectFrom('EventOccurrence')
    .select('key')
    .where('instance', '=', instanceId)
    .where('key', '=', anyOf(keys))
    .execute();
  return new Set(rows.map(({ key }) => key));
}

/** Until when every run of the instance's jobs is recorded; null: not known. */
export async function cronRunsReadTo(em: EntityManager, instanceId: string): Promise<number | null> {
  const row = await db(em).selectFrom('Instance').select('cronRunsReadTo').where('id', '=', instanceId).executeTakeFirst();
  return row?.cronRunsReadTo?.getTime() ?? null;
}

/** Every run that ended until then is recorded. Never goes back. */
export async function noteCronRunsRead(em: EntityManager, instanceId: string, endedAt: Date): Promise<void> {
  await db(em)
    .updateTable('Instance')
    .set({ cronRunsReadTo: endedAt })
    .where('id', '=', instanceId)
    .where((eb) => eb.or([eb('cronRunsReadTo', 'is', null), eb('cronRunsReadTo', '<', endedAt)]))
    .execute();
}

/**
 * How many jobs an agent has, with those that are being added: a call that adds one ends within a minute. Locks the agent until
 * the transaction ends, so that its jobs are added one after the other.
 */
export async function countCronsLocked(em: EntityManager, agentId: string): Promise<number> {
  await db(em).selectFrom('Agent').select('id').where('id', '=', agentId).forNoKeyUpdate().execute();
  const { count } = await db(em)
    .selectFrom('CronJob')
    .select(({ fn }) => asNumber(fn.countAll()).as('count'))
    .where('agent', '=', agentId)
    .where('removedAt', 'is', null)
    .where((eb) =>
      eb.or([eb('gatewayJobId', 'is not', null), eb('createdAt', '>', sql<Date>`clock_timestamp() - interval '1 minute'`)]),
    )
    .executeTakeFirstOrThrow();
  return count;
}

/** Deletes the row of a job that its gateway did not accept. */
export async function dropUnsentCron(em: EntityManager, id: string): Promise<void> {
  await db(em).deleteFrom('CronJob').where('id', '=', id).where('gatewayJobId', 'is', null).execute();
}
