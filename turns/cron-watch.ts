import type { EntityManager } from '@mikro-orm/postgresql';
import {
  cronRunsReadTo,
  databaseNow,
  findOrphanCrons,
  findRecorded,
  findSeenCron,
  hasNextRun,
  noteCronRemoved,
  noteCronRunsRead,
  noteCronsGone,
} from '../database/crons/crons.ts';
import { findRunRefusal } from '../database/crons/find-run-refusal.ts';
import { cronOccurrence, recordCronRun } from '../database/crons/record-cron-run.ts';
import type { CronResult } from '../database/crons/record-cron-run.ts';
import { runTransaction } from '../database/run-transaction.ts';
import { BUDGET_REACHED, reachedMessage } from '../domain/money/budgets.ts';
import { RecentTexts } from '../lib/text/recent-texts.ts';
import type { Gateway } from '../runtime/gateway/gateway.ts';
import type { GatewayEvent } from '../runtime/gateway/gateway-events.ts';
import type { CronJob, CronRun, RunText } from '../runtime/gateway/gateway-jobs.ts';
import { noteSeenCron } from './note-cron.ts';
import { Recorder } from './recorder.ts';
import type { TurnDeps } from './turn-deps.ts';

type Deps = Pick<TurnDeps, 'orm' | 'makeId' | 'clock' | 'log' | 'maxStoredBytes'>;

/** Answers are kept until the gateway says that their run is over. */
const REMEMBERED = { texts: 50, characters: 8 * 1024 ** 2 };
/** How long after the end of a run its gateway may take to record it. */
const LATE_MS = 10 * 60_000;

const RUN_FAILED = 'A run of the cron job failed.';
const MODEL_FAILED = 'A run of the cron job failed because the model did not answer.';
const RUNS_AGAIN = 'The job runs again at its next scheduled time.';
const RUNS_NO_MORE = 'The job is not scheduled to run again.';

/**
 * Records what the jobs of one gateway come to, over one connection: hears every run that ends, and reads back at once
 * those that ended before it was connected. Each run becomes one event, however many watchers see it, and however often.
 */
export class CronWatch {
  readonly #deps: Deps;
  readonly #instanceId: string;
  readonly #gateway: Gateway;
  readonly #recorder: Recorder;
  readonly #said = new RecentTexts(REMEMBERED);

  constructor(deps: Deps, instanceId: string, gateway: Gateway) {
    this.#deps = deps;
    this.#instanceId = instanceId;
    this.#gateway = gateway;
    this.#recorder = new Recorder({
      gateway,
      onEvent: (event) => this.#onEvent(event),
      readBack: () => this.#readBack(),
      onFailure: (err, jobId) =>
        deps.log.warn({ err, instanceId, jobId }, 'could not record the result of a cron job; trying again'),
    });
  }

  /** Resolves when nothing of it is under way any more. */
  end(): Promise<void> {
    return this.#recorder.end();
  }

  #em(): EntityManager {
    return this.#deps.orm.em.fork();
  }

  #onEvent(event: GatewayEvent): void {
    if (event.kind === 'ended') {
      const { session, result } = event;
      const outcome = result.kind === 'done' ? result.outcome : null;
      if (session.isOfJob && outcome?.kind === 'completed') this.#said.set(session.key, outcome.text);
    } else if (event.kind === 'cron-job') {
      const { jobId, job, isRemoved } = event;
      if (job && !job.isInternal) this.#recorder.run(jobId, () => this.#note(job, isRemoved));
    } else if (event.kind === 'cron-run') {
      const { run, job } = event;
      if (job?.isInternal) return;
      this.#recorder.run(run.jobId, async () => {
        if (job) await this.#note(job, false);
        await this.#record(run, this.#said.take(run.session?.key ?? ''));
      });
    }
  }

  async #note(job: CronJob, isRemoved: boolean): Promise<void> {
    const { makeId } = this.#deps;
    const instanceId = this.#instanceId;
    await runTransaction(this.#deps.orm.em, async (em) => {
      await noteSeenCron(em, { instanceId, makeId }, job);
      if (isRemoved) await noteCronRemoved(em, instanceId, job.id);
    });
  }

  async #record(run: CronRun, heard: string | null): Promise<void> {
    if (run.status === 'skipped') return;
    const text = run.status === 'ok' ? await this.#textOf(run, heard) : null;
    const { makeId, clock, maxStoredBytes } = this.#deps;
    const result = { ...resultOf(this.#instanceId, run, text), error: text ? null : await this.#errorOf(run) };
    await runTransaction(this.#deps.orm.em, (em) => recordCronRun(em, result, { makeId, now: clock(), maxStoredBytes }));
  }

  async #errorOf(run: CronRun): Promise<CronResult['error']> {
    const runsAgain = await hasNextRun(this.#em(), this.#jobOf(run));
    const next = runsAgain ? RUNS_AGAIN : RUNS_NO_MORE;
    // The gateway's words do not say so.
    const budget = await findRunRefusal(this.#em(), resultOf(this.#instanceId, run, null));
    if (budget) return { code: BUDGET_REACHED, message: `${reachedMessage(budget, this.#deps.clock())} ${next}` };
    if (run.errorReason !== null) return { code: 'model_error', message: `${MODEL_FAILED} ${next}` };
    return { code: 'agent_failed', message: `${RUN_FAILED} ${next}` };
  }

  #jobOf({ jobId: gatewayJobId }: CronRun) {
    return { instanceId: this.#instanceId, gatewayJobId };
  }

  async #textOf(run: CronRun, heard: string | null): Promise<RunText> {
    const job = run.session === null ? await findSeenCron(this.#em(), this.#jobOf(run)) : null;
    // Only a reminder has its answer in the agent's conversation. Any other job without a session has its own result.
    const isReminder = job !== null && job.message.trim() === run.summary.trim();
    const reply = isReminder ? await this.#gateway.jobs.replyToReminder(run, job.gatewayAgentId) : null;
    return reply ?? this.#gateway.jobs.textOf(run, heard);
  }

  async #readBack(): Promise<void> {
    const internal = await this.#readJobs();
    const readTo = await cronRunsReadTo(this.#em(), this.#instanceId);
    const { missed, newestMs } = await this.#findMissed(readTo === null ? 0 : readTo - LATE_MS);
    for (const run of missed.toReversed()) {
      if (this.#recorder.isOver()) return;
      if (!internal.has(run.jobId)) await this.#record(run, null);
    }
    if (newestMs > 0 && !this.#recorder.isOver()) await noteCronRunsRead(this.#em(), this.#instanceId, new Date(newestMs));
    // Of deleted agents.
    for (const jobId of await findOrphanCrons(this.#em(), this.#instanceId))
      await this.#gateway.jobs.removePatiently(jobId, this.#recorder.signal);
  }

  /** Writes down all jobs as they are now. Returns the ids of those that are the gateway's own. */
  async #readJobs(): Promise<Set<string>> {
    const instanceId = this.#instanceId;
    const askedAt = await databaseNow(this.#em());
    const listed: string[] = [];
    const internal = new Set<string>();
    for await (const { jobs } of this.#gateway.jobs.pages()) {
      for (const job of jobs) {
        listed.push(job.id);
        if (job.isInternal) internal.add(job.id);
        else await this.#note(job, false);
      }
    }
    await noteCronsGone(this.#em(), { instanceId, listed, askedAt });
    return internal;
  }

  /** The runs that ended since then and are not recorded, the last first, and when the last of all ended. */
  async #findMissed(sinceMs: number): Promise<{ missed: CronRun[]; newestMs: number }> {
    const missed: CronRun[] = [];
    let newestMs = 0;
    for await (const { runs } of this.#gateway.jobs.runPages()) {
      const keys = runs.map(({ jobId, runAtMs }) => cronOccurrence(jobId, runAtMs));
      const recorded = await findRecorded(this.#em(), this.#instanceId, keys);
      for (const run of runs) {
        newestMs = Math.max(newestMs, run.endedAtMs);
        if (!recorded.has(cronOccurrence(run.jobId, run.runAtMs))) missed.push(run);
      }
      if (this.#recorder.isOver() || runs.every(({ endedAtMs }) => endedAtMs < sinceMs)) break;
    }
    return { missed, newestMs };
  }
}

function resultOf(instanceId: string, run: CronRun, text: RunText | null): Omit<CronResult, 'error'> {
  return {
    instanceId,
    gatewayJobId: run.jobId,
    gatewayAgentId: run.agentId,
    jobName: run.jobName,
    runAt: new Date(run.runAtMs),
    saidAt: new Date(run.endedAtMs),
    conversationId: run.session?.conversationId ?? null,
    isDelivered: run.isDelivered,
    content: text?.text ?? null,
    contentTruncated: text?.isTruncated ?? false,
  };
}
