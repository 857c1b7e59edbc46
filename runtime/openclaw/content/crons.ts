import { addedJob, declarationOf, jobsPage, runsPage, updatedJob } from './cron-frames.ts';
import type { CronChanges, CronJob, CronSchedule, CronsPage, NewCron, RunsPage } from '../../gateway/gateway-jobs.ts';
import { GatewayRequestError, INVALID_REQUEST } from '../../gateway/gateway-errors.ts';
import type { GatewayClient } from '../wire/gateway-client.ts';
import { pagesOf } from '../wire/gateway-pages.ts';

/** The message of a job has up to 100,000 characters, of three bytes each at most: ten of them fit into a frame. */
const JOBS_PAGE = 10;
/** A hundred agents with a hundred jobs each. */
const MAX_JOBS_PAGES = 1_000;
const RUNS_PAGE = 200;
/** The gateway keeps fewer runs. */
const MAX_RUNS_PAGES = 50;
const UNKNOWN_JOB = /not found|unknown cron job/i;
/** The job is gone; only the sessions of its past runs are left, because the gateway took too long to delete them. */
const REMOVED_ANYWAY = /was removed, but/;

/**
 * Every job of a gateway in pages, also those that are switched off, and its own housekeeping. Throws
 * GatewayRequestError, and GatewayFloodError: see pagesOf.
 */
export function cronPages(client: GatewayClient): AsyncGenerator<CronsPage, void, undefined> {
  const params = { includeDisabled: true, includeDeliveryPreviews: false, limit: JOBS_PAGE };
  const read = async (offset: number): Promise<CronsPage> => {
    const { jobs, hasMore, nextOffset } = jobsPage.parse(await client.request('cron.list', { ...params, offset }));
    return { jobs: jobs.flatMap((job) => job ?? []), nextOffset: hasMore ? (nextOffset ?? null) : null };
  };
  return pagesOf(client, { of: 'cron.list', maxPages: MAX_JOBS_PAGES, read });
}

/** Adds a job; repeating it is harmless for as long as the job exists. One for a single moment is switched off afterwards. Throws GatewayRequestError: see isRefusedCron. */
export async function addCron(
  client: GatewayClient,
  { cronId, agentId, name, schedule, message, enabled }: NewCron,
): Promise<CronJob> {
  const answer = await client.request('cron.add', {
    ...{ name, agentId, enabled },
    declarationKey: declarationOf(cronId),
    schedule: scheduleParams(schedule),
    sessionTarget: 'isolated',
    wakeMode: 'now',
    payload: { kind: 'agentTurn', message },
    delivery: { mode: 'none' },
    // One that has run stays, switched off, so that it can be seen what it came to.
    deleteAfterRun: false,
  });
  return addedJob.parse(answer).job;
}

/** Changes a job; null when the gateway has no such job. Throws GatewayRequestError: see isRefusedCron. */
export async function updateCron(client: GatewayClient, jobId: string, changes: CronChanges): Promise<CronJob | null> {
  const { name, schedule, message, enabled } = changes;
  const patch = {
    ...(name !== undefined && { name }),
    // Without it the gateway takes a job that is moved to a single moment for one to be deleted after its run.
    ...(schedule !== undefined && { schedule: scheduleParams(schedule), deleteAfterRun: false }),
    ...(message !== undefined && { payload: { kind: 'agentTurn', message } }),
    ...(enabled !== undefined && { enabled }),
  };
  const answer = await orUnknown(client.request('cron.update', { id: jobId, patch }));
  return answer === null ? null : updatedJob.parse(answer);
}

/** Removes a job; one that is gone already is no error. Throws GatewayRequestError. */
export async function removeCron(client: GatewayClient, jobId: string): Promise<void> {
  await orUnknown(client.request('cron.remove', { id: jobId })).catch((error: unknown) => {
    if (!(error instanceof GatewayRequestError && REMOVED_ANYWAY.test(error.message))) throw error;
  });
}

/** Has a job run now, also one that is switched off. False when the gateway has no such job. Throws GatewayRequestError. */
export async function runCron(client: GatewayClient, jobId: string): Promise<boolean> {
  return (await orUnknown(client.request('cron.run', { id: jobId, mode: 'force' }))) !== null;
}

/**
 * What the jobs of a gateway have done in pages, also those that are gone. Throws GatewayRequestError, and
 * GatewayFloodError: see pagesOf.
 */
export function cronRunPages(client: GatewayClient): AsyncGenerator<RunsPage, void, undefined> {
  const read = async (offset: number): Promise<RunsPage> => {
    const page = runsPage.parse(await client.request('cron.runs', { scope: 'all', limit: RUNS_PAGE, offset, sortDir: 'desc' }));
    return { runs: page.entries.flatMap((run) => run ?? []), nextOffset: page.hasMore ? (page.nextOffset ?? null) : null };
  };
  return pagesOf(client, { of: 'cron.runs', maxPages: MAX_RUNS_PAGES, read });
}

function scheduleParams(schedule: CronSchedule): object {
  if (schedule.kind !== 'cron') return schedule;
  // Without a zone the gateway takes that of its host.
  return { kind: 'cron', expr: schedule.expr, tz: schedule.timeZone ?? 'UTC', staggerMs: 0 };
}

async function orUnknown(answer: Promise<unknown>): Promise<unknown> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof GatewayRequestError && error.code === INVALID_REQUEST && UNKNOWN_JOB.test(error.message)) return null;
    throw error;
  }
}
