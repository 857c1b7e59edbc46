import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { parse } from './conversations.ts';
import type { Runs } from './runs.ts';
import type { CronJobRow, Store } from './store.ts';
import { invalid, unavailable } from './wire.ts';
import type { Answer, Peers } from './wire.ts';

const schedule = z.discriminatedUnion('kind', [
  z.looseObject({ kind: z.literal('cron'), expr: z.string().regex(/^(\S+ ){4,5}\S+$/), tz: z.string().optional() }),
  z.looseObject({ kind: z.literal('every'), everyMs: z.number().min(1) }),
  z.looseObject({ kind: z.literal('at'), at: z.iso.datetime({ offset: true }) }),
]);
const payload = z.looseObject({ kind: z.literal('agentTurn'), message: z.string() });
const addParams = z.looseObject({
  ...{ name: z.string(), agentId: z.string(), enabled: z.boolean(), declarationKey: z.string(), schedule, payload },
  deleteAfterRun: z.boolean(),
});
const patch = z.object({
  ...{ name: z.string().optional(), enabled: z.boolean().optional() },
  ...{ schedule: schedule.optional(), payload: payload.optional(), deleteAfterRun: z.boolean().optional() },
});
const updateParams = z.looseObject({ id: z.string(), patch });
const idParams = z.looseObject({ id: z.string() });
const pageParams = z.looseObject({ limit: z.number(), offset: z.number() });

const TICK_MS = 100;
const HOUR_MS = 3_600_000;
const SUMMARY_CHARS = 2_000;

interface Deps {
  store: Store;
  runs: Runs;
  peers: Peers;
  agents: () => readonly string[];
}

/** The scheduler: enough of it for jobs to be kept, changed, run, and heard of. A cron expression is due within the hour. */
export class Crons {
  readonly #deps: Deps;

  constructor(deps: Deps) {
    this.#deps = deps;
    setInterval(() => this.#runDue(), TICK_MS).unref();
  }

  list(raw: object): object {
    const { limit, offset } = parse(pageParams, raw, 'cron.list');
    const { jobs } = this.#deps.store.data;
    const next = offset + limit;
    const hasMore = next < jobs.length;
    return { jobs: jobs.slice(offset, next), total: jobs.length, hasMore, nextOffset: hasMore ? next : null };
  }

  add(raw: object): object {
    const params = parse(addParams, raw, 'cron.add');
    const { store, agents } = this.#deps;
    const known = store.data.jobs.find(({ declarationKey }) => declarationKey === params.declarationKey);
    if (known) return { ...known, job: known, created: false };
    if (!agents().includes(params.agentId)) throw unavailable(`Error: cron job agent is unavailable: ${params.agentId}`);
    const now = Date.now();
    const job: CronJobRow = { ...params, id: randomUUID(), createdAtMs: now, updatedAtMs: now, state: {} };
    plan(job, now);
    store.data.jobs.push(job);
    store.save();
    this.#tell('added', job);
    return { ...job, job, created: true };
  }

  update(raw: object): object {
    const { id, patch: changes } = parse(updateParams, raw, 'cron.update');
    const job = this.#job(id);
    Object.assign(job, changes, { updatedAtMs: Date.now() });
    plan(job, Date.now());
    this.#deps.store.save();
    this.#tell('updated', job);
    return job;
  }

  remove(raw: object): object {
    const job = this.#job(parse(idParams, raw, 'cron.remove').id);
    const { store } = this.#deps;
    store.data.jobs = store.data.jobs.filter(({ id }) => id !== job.id);
    store.save();
    this.#tell('removed', job);
    return { ok: true, removed: true };
  }

  run(raw: object): object {
    const job = this.#job(parse(idParams, raw, 'cron.run').id);
    const runId = this.#start(job, 'manual');
    return { ok: true, enqueued: true, runId };
  }

  runs(raw: object): object {
    const { limit, offset } = parse(pageParams, raw, 'cron.runs');
    const { runs } = this.#deps.store.data;
    const next = offset + limit;
    const hasMore = next < runs.length;
    return { entries: runs.slice(offset, next), total: runs.length, hasMore, nextOffset: hasMore ? next : null };
  }

  #job(id: string): CronJobRow {
    const job = this.#deps.store.data.jobs.find((one) => one.id === id);
    if (!job) throw invalid(`unknown cron job id: ${id}`);
    return job;
  }

  #runDue(): void {
    const now = Date.now();
    if (this.#deps.runs.isDraining) return;
    for (const job of this.#deps.store.data.jobs) {
      const { nextRunAtMs, runningAtMs } = job.state;
      if (nextRunAtMs === undefined || nextRunAtMs > now || runningAtMs !== undefined) continue;
      if (job.schedule.kind === 'at') Object.assign(job, { enabled: false, updatedAtMs: now });
      plan(job, now);
      this.#start(job, 'scheduled');
    }
  }

  /** A run of a job is a turn in a conversation of its own. */
  #start(job: CronJobRow, how: string): string {
    const {
      id,
      agentId,
      payload: { message },
    } = job;
    const sessionId = randomUUID();
    const sessionKey = `agent:${agentId}:cron:${id}:run:${sessionId}`;
    const runAtMs = Date.now();
    const runId = `${how}:${id}:${runAtMs}:1`;
    Object.assign(job, { state: { ...job.state, runningAtMs: runAtMs } });
    this.#deps.store.save();
    const onEnd = (answer: Answer): void => this.#finish(id, { sessionId, sessionKey, runAtMs, runId }, answer);
    this.#deps.runs.add({
      runId: sessionId,
      agentId,
      sessionKey,
      message,
      provenance: { kind: 'internal_system', sourceTool: 'cron' },
      onEnd,
    });
    return runId;
  }

  #finish(jobId: string, run: { sessionId: string; sessionKey: string; runAtMs: number; runId: string }, answer: Answer): void {
    const { store, peers } = this.#deps;
    const job = store.data.jobs.find(({ id }) => id === jobId);
    const now = Date.now();
    const outcome = outcomeOf(answer);
    const { errorReason, ...told } = outcome;
    const entry = { ...run, ...told, action: 'finished', jobId, durationMs: now - run.runAtMs };
    store.data.runs.unshift({ ...entry, ts: now, ...(errorReason && { errorReason }), ...(job && { jobName: job.name }) });
    // The event says why a run failed in its job only.
    if (job)
      Object.assign(job, { updatedAtMs: now, state: { ...job.state, runningAtMs: undefined, lastErrorReason: errorReason } });
    store.save();
    peers.emit('cron', { ...entry, ...(job && { job }) });
  }

  #tell(action: string, job: CronJobRow): void {
    this.#deps.peers.emit('cron', { action, jobId: job.id, job });
  }
}

const payloads = z.looseObject({ result: z.looseObject({ payloads: z.array(z.looseObject({ text: z.string() })) }) });

interface Outcome {
  status: string;
  summary: string;
  error?: string;
  errorReason?: string;
}

function outcomeOf(answer: Answer): Outcome {
  if (!answer.ok) {
    const { message, details } = answer.error;
    const reason = details?.['failoverReason'];
    return { status: 'error', error: message, summary: message, ...(typeof reason === 'string' && { errorReason: reason }) };
  }
  const said = payloads.safeParse(answer.payload).data?.result.payloads.map(({ text }) => text) ?? [];
  const summary = said.join('\n\n');
  return { status: 'ok', summary: summary.length > SUMMARY_CHARS ? `${summary.slice(0, SUMMARY_CHARS - 1)}…` : summary };
}

/** Writes down when a job is due next. */
function plan(job: CronJobRow, now: number): void {
  const { schedule: when } = job;
  const nextRunAtMs = when.kind === 'every' ? now + when.everyMs : when.kind === 'at' ? Date.parse(when.at) : now + HOUR_MS;
  const { runningAtMs } = job.state;
  job.state = { runningAtMs, ...(job.enabled && { nextRunAtMs }) };
}
