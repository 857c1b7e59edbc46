import type { EntityManager } from '@mikro-orm/postgresql';
import { z } from 'zod';
import { CronJob } from '../../../database/entities/cron-job.ts';
import { AppError } from '../../../domain/errors.ts';
import type { CronSchedule } from '../../../runtime/gateway/gateway-jobs.ts';
import { givenTimeText, idField, timestamp } from '../../contract/fields.ts';
import { agentParams } from '../agents/agent.schema.ts';
import { invalidRequest } from '../../contract/invalid-request.ts';

export const cronParams = agentParams.extend({ cronId: idField('cron') });

const SHORTEST_MS = 1_000;
const LONGEST_MS = 366 * 24 * 3_600_000;
const EXPRESSION = /^\s*(?:[^\s]+\s+){4,5}[^\s]+\s*$/;

function isTimeZone(name: string): boolean {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: name }).resolvedOptions().timeZone !== '';
  } catch {
    return false;
  }
}

/** When a job runs, as a request says it. */
export const scheduleField = z
  .discriminatedUnion(
    'kind',
    [
      z.object({
        kind: z.literal('cron'),
        expr: z
          .string()
          .max(200)
          .regex(
            EXPRESSION,
            'Give five fields (minute, hour, day, month, weekday), or six with seconds first, such as 0 9 * * 1-5.',
          )
          .meta({ example: '0 9 * * 1-5' }),
        timeZone: z.string().max(64).refine(isTimeZone, 'Give an IANA time zone such as Europe/Berlin.').default('UTC').meta({
          description:
            'The IANA time zone of the expression. When the clocks go forward, a run at a skipped local time does not take place: the job waits for the next matching date, which for a yearly job is a year later. When the clocks go back, a job at a repeated local time runs the first time only. `nextRunAt` shows the next run. UTC has no such changes.',
          example: 'Europe/Berlin',
        }),
      }),
      z.object({ kind: z.literal('every'), everyMs: z.int().min(SHORTEST_MS).max(LONGEST_MS).meta({ example: 3_600_000 }) }),
      z.object({ kind: z.literal('at'), at: givenTimeText.meta({ example: '2030-04-07T09:00:00.000Z' }) }),
    ],
    { error: (issue) => (issue.code === 'invalid_union' ? 'kind must be one of: cron, every, at.' : undefined) },
  )
  .meta({
    description:
      'When the job runs: a cron expression in a time zone (`cron`), a fixed interval in milliseconds (`every`), or once at a given time (`at`).',
  });

/** What the agent is told at each run. */
export const cronMessageField = z.string().regex(/\S/, 'Give a message that is not blank.').max(100_000);

const schedule = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('cron'), expr: z.string(), timeZone: z.string() }),
  z.object({ kind: z.literal('every'), everyMs: z.number() }),
  z.object({ kind: z.literal('at'), at: z.string() }),
  z
    .object({ kind: z.literal('other') })
    .meta({ description: 'A kind of schedule that only the cron tool of the agent can create.' }),
]);

export const cronSchema = z
  .object({
    cronId: idField('cron'),
    name: z.string(),
    schedule,
    message: z.string().meta({ description: 'The message that the agent receives at each run.' }),
    enabled: z.boolean(),
    createdBy: z
      .enum(['api', 'agent'])
      .meta({ description: '`api` when the job was created with the API, `agent` when the agent created it.' }),
    nextRunAt: timestamp.nullable().meta({ description: 'When the job runs next; `null` when no run is scheduled.' }),
    lastRun: z
      .object({ at: timestamp, status: z.enum(['ok', 'error']), eventId: idField('evt').nullable() })
      .nullable()
      .meta({ description: 'The last run of the job; `null` before its first run. The event with `eventId` has the result.' }),
  })
  .meta({ id: 'Cron' });

/** The schedule as the gateway takes it. Throws `invalid_request` for a moment that is over. */
export function gatewaySchedule(given: z.output<typeof scheduleField>, now: Date): CronSchedule {
  if (given.kind !== 'at') return given;
  const at = new Date(given.at);
  if (at <= now) throw refusal('schedule.at', 'Must be in the future.');
  return { kind: 'at', at: at.toISOString() };
}

/** What the gateway finds wrong with a job that looks right. */
export function scheduleRefused(): AppError {
  return refusal('schedule', 'The schedule is invalid or never runs. Check the expression and the time.');
}

function refusal(path: string, message: string): AppError {
  return invalidRequest([{ path, message }]);
}

const storedSchedule = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('cron'), expr: z.string(), timeZone: z.string().nullable() }),
  z.object({ kind: z.literal('every'), everyMs: z.number() }),
  z.object({ kind: z.literal('at'), at: z.string() }),
]);

function presentSchedule(stored: string | null): z.input<typeof schedule> {
  if (stored === null) return { kind: 'other' };
  const known = storedSchedule.parse(JSON.parse(stored));
  return known.kind === 'cron' ? { ...known, timeZone: known.timeZone ?? 'UTC' } : known;
}

/** A job as its customer sees it. */
export function presentCron(cron: CronJob): z.input<typeof cronSchema> {
  const { id, name, schedule: stored, message, enabled, createdBy, nextRunAt, lastRunAt, lastRunStatus, lastEventId } = cron;
  return {
    ...{ cronId: id, name, message, enabled, createdBy },
    schedule: presentSchedule(stored),
    nextRunAt: enabled ? (nextRunAt?.toISOString() ?? null) : null,
    lastRun: lastRunAt && lastRunStatus ? { at: lastRunAt.toISOString(), status: lastRunStatus, eventId: lastEventId } : null,
  };
}

/** The agent's job as it is now. Throws `not_found`, also for one that its gateway does not have yet. */
export async function findCron(
  em: EntityManager,
  { agentId, cronId }: { agentId: string; cronId: string },
): Promise<CronJob & { gatewayJobId: string }> {
  const cron = await em.findOne(CronJob, { id: cronId, agent: agentId, removedAt: null }, { refresh: true });
  if (!cron || cron.gatewayJobId === null) throw new AppError('not_found', 'Cron not found');
  return Object.assign(cron, { gatewayJobId: cron.gatewayJobId });
}
