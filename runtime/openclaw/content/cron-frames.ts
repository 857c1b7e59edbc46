import { z } from 'zod';
import { gatewayId, textUpTo } from '../wire/bounded-text.ts';
import type { CronJob, CronRun, CronSchedule } from '../../gateway/gateway-jobs.ts';
import { agentOfSession, conversationIdOf, sessionOf } from '../conversation/session-key.ts';

const DECLARED_BY_US = 'thermidora:';

/** What makes adding a job twice one job: the gateway keeps one per key. */
export function declarationOf(cronId: string): string {
  return `${DECLARED_BY_US}${cronId}`;
}

/** What the gateway says beside contents, which it cuts itself far before this. */
const NOTE_BYTES = 16 * 1024;
const MESSAGE_BYTES = 1024 ** 2;

const anyId = gatewayId.nullish().catch(null);
const note = textUpTo(NOTE_BYTES).nullish().catch(null);
const message = textUpTo(MESSAGE_BYTES).nullish().catch(null);
const millis = z.number().nullish().catch(null);

const schedule = z.discriminatedUnion('kind', [
  z.looseObject({ kind: z.literal('cron'), expr: z.string(), tz: anyId }),
  z.looseObject({ kind: z.literal('every'), everyMs: z.number() }),
  z.looseObject({ kind: z.literal('at'), at: z.string() }),
]);

const cronJob = z
  .looseObject({
    id: gatewayId.min(1),
    agentId: anyId,
    effectiveAgentId: anyId,
    name: textUpTo(NOTE_BYTES),
    enabled: z.boolean().catch(true),
    updatedAtMs: z.number().catch(0),
    declarationKey: anyId,
    sessionTarget: anyId,
    sessionKey: anyId,
    schedule: schedule.nullish().catch(null),
    payload: z.looseObject({ message, text: message }).nullish().catch(null),
    state: z.looseObject({ nextRunAtMs: millis, runningAtMs: millis }).nullish().catch(null),
  })
  .transform((raw): CronJob => {
    const { id, name, enabled, declarationKey } = raw;
    const isOurs = declarationKey?.startsWith(DECLARED_BY_US) ?? false;
    const next = raw.state?.nextRunAtMs ?? null;
    const running = raw.state?.runningAtMs ?? null;
    return {
      ...{ id, name, enabled },
      agentId: raw.agentId ?? raw.effectiveAgentId ?? null,
      message: raw.payload?.message ?? raw.payload?.text ?? '',
      schedule: raw.schedule ? scheduleOf(raw.schedule) : null,
      nextRunAt: next === null ? null : new Date(next),
      runningSince: running === null ? null : new Date(running),
      conversationId: raw.sessionTarget === 'current' ? conversationIdOf(raw.sessionKey ?? '') : null,
      updatedAt: new Date(raw.updatedAtMs),
      cronId: isOurs ? (declarationKey?.slice(DECLARED_BY_US.length) ?? null) : null,
      isInternal: typeof declarationKey === 'string' && !isOurs,
    };
  });

function scheduleOf(raw: z.infer<typeof schedule>): CronSchedule {
  switch (raw.kind) {
    case 'cron':
      return { kind: 'cron', expr: raw.expr, timeZone: raw.tz ?? null };
    case 'every':
      return { kind: 'every', everyMs: raw.everyMs };
    case 'at':
      return { kind: 'at', at: raw.at };
  }
}

const cronRun = z
  .looseObject({
    jobId: gatewayId.min(1),
    jobName: note,
    status: z.enum(['ok', 'error', 'skipped']),
    summary: note,
    error: note,
    errorReason: note,
    delivered: z.boolean().nullish().catch(null),
    sessionKey: anyId,
    sessionId: anyId,
    runAtMs: z.number(),
    durationMs: millis,
    ts: millis,
  })
  .transform((raw): CronRun => {
    const { jobId, status, runAtMs } = raw;
    const sessionKey = raw.sessionKey ?? null;
    return {
      ...{ jobId, status, runAtMs },
      session: sessionKey === null ? null : sessionOf(sessionKey),
      jobName: raw.jobName ?? null,
      agentId: agentOfSession(sessionKey ?? ''),
      summary: raw.summary ?? '',
      error: raw.error ?? null,
      errorReason: raw.errorReason ?? null,
      isDelivered: raw.delivered ?? false,
      sessionId: raw.sessionId ?? null,
      endedAtMs: raw.ts ?? runAtMs + (raw.durationMs ?? 0),
    };
  });

const cronEvent = z.looseObject({ action: z.string(), jobId: gatewayId, job: cronJob.nullish().catch(null) });

/** Where the event of a run says why it failed; a listed run says it itself. */
const failedJob = z.looseObject({ job: z.looseObject({ state: z.looseObject({ lastErrorReason: note }) }) });

/** What a gateway reports about its jobs without being asked. */
export type CronEvent =
  | { kind: 'cron-job'; jobId: string; job: CronJob | null; isRemoved: boolean }
  | { kind: 'cron-run'; run: CronRun; job: CronJob | null };

/** The payload of a `cron` event; null when it is not one. */
export function parseCronEvent(payload: unknown): CronEvent | null {
  const event = cronEvent.safeParse(payload).data;
  if (!event) return null;
  const { action, jobId } = event;
  const job = event.job ?? null;
  if (action !== 'finished') return { kind: 'cron-job', jobId, job, isRemoved: action === 'removed' };
  const run = cronRun.safeParse(payload).data;
  if (!run) return null;
  return {
    kind: 'cron-run',
    run: {
      ...run,
      jobName: run.jobName ?? job?.name ?? null,
      agentId: run.agentId ?? job?.agentId ?? null,
      errorReason: run.errorReason ?? (run.status === 'error' ? reasonOf(payload) : null),
    },
    job,
  };
}

function reasonOf(payload: unknown): string | null {
  return failedJob.safeParse(payload).data?.job.state.lastErrorReason ?? null;
}

/** An answer to cron.list: jobs of forms that we do not know are left out. */
export const jobsPage = z.looseObject({
  jobs: z.array(cronJob.nullable().catch(null)),
  hasMore: z.boolean().catch(false),
  nextOffset: z.number().nullish().catch(null),
});

/** An answer to cron.runs: entries without an end are left out. */
export const runsPage = z.looseObject({
  entries: z.array(cronRun.nullable().catch(null)),
  hasMore: z.boolean().catch(false),
  nextOffset: z.number().nullish().catch(null),
});

/** An answer to cron.add with a declaration key, and to cron.update. */
export const addedJob = z.looseObject({ job: cronJob });
export const updatedJob = cronJob;
