import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import type { Faults } from './faults.ts';
import { draining, errorOf } from './runs.ts';
import type { Runs } from './runs.ts';
import type { Session, Store } from './store.ts';
import { invalid, Refusal, refused, unavailable } from './wire.ts';
import type { Answer } from './wire.ts';

const agentParams = z.looseObject({
  agentId: z.string(),
  sessionKey: z.string(),
  message: z.string(),
  idempotencyKey: z.string(),
});
const historyParams = z.looseObject({
  ...{ sessionKey: z.string(), limit: z.number() },
  ...{ sessionId: z.string().optional(), inputRunIds: z.array(z.string()).optional() },
});
const searchParams = z.looseObject({ query: z.string(), limit: z.number() });
const abortParams = z.looseObject({ sessionKey: z.string(), runId: z.string() });
const keyParams = z.looseObject({ key: z.string() });
const patchParams = z.looseObject({ key: z.string(), archived: z.boolean() });
const listParams = z.looseObject({ limit: z.number(), offset: z.number() });

const RERUN_AFTER_MS = 3_000;
const GO_ON = '[System] Your previous turn was interrupted by a gateway restart. Continue.';

interface Deps {
  store: Store;
  runs: Runs;
  faults: Faults;
  agents: () => readonly string[];
}

/** Turns and conversations, as the gateway's calls see them. */
export class Conversations {
  readonly #deps: Deps;
  /** What this process knows about each key: null while its turn has not ended. */
  readonly #known = new Map<string, Answer | null>();

  constructor(deps: Deps) {
    this.#deps = deps;
    setTimeout(() => this.#repeatInterrupted(), RERUN_AFTER_MS).unref();
  }

  /** The first answer to a turn; `second` is given the other one when it was accepted. */
  agent(raw: object, second: (answer: Answer) => void): Answer {
    const params = parse(agentParams, raw, 'agent');
    const { agentId, sessionKey, idempotencyKey: runId, message } = params;
    const { store, runs, faults } = this.#deps;
    const known = this.#known.get(runId);
    if (known) return known;
    if (known === null) return { ok: true, payload: { runId, sessionKey, status: 'in_flight' } };
    if (runs.isDraining) return refused(draining());
    if (!this.#deps.agents().includes(agentId)) return refused(invalid(`unknown agent id "${agentId}"`));
    const refusal = faults.find('refuse', { agentId, sessionKey });
    if (refusal?.answer === 'first') {
      faults.take('refuse', { agentId, sessionKey, runId });
      return refused(new Refusal(errorOf(refusal)));
    }
    const session = store.open(sessionKey);
    if (session.isArchived) return refused(invalid(`Session "${sessionKey}" is archived. Restore it before starting new work.`));
    if (isSpent(session, runId)) return refused(spent());
    this.#known.set(runId, null);
    const run = { runId, agentId, sessionKey, message };
    const onEnd = (answer: Answer): void => {
      this.#known.set(runId, answer);
      second(answer);
    };
    runs.add({ ...run, onEnd });
    return { ok: true, payload: { runId, sessionKey, agentId, status: 'accepted', acceptedAt: Date.now() } };
  }

  history(raw: object): object {
    const { sessionKey, limit, sessionId: wanted, inputRunIds = [] } = parse(historyParams, raw, 'chat.history');
    const { store, runs } = this.#deps;
    if (runs.isDraining) throw draining();
    const session =
      store.find(sessionKey) ?? this.#runsOf(sessionKey).findLast(({ sessionId }) => sessionId === (wanted ?? sessionId));
    if (!session) return { sessionKey, messages: [], inputReceipts: [], pendingInputs: { items: [] } };
    const { sessionId, rows, status, lastRunId, inputs } = session;
    const inFlightRun = runs.inFlight(sessionKey);
    return {
      ...{ sessionKey, sessionId, messages: rows.slice(-limit) },
      ...(inFlightRun && { inFlightRun }),
      sessionInfo: { key: sessionKey, ...(status !== undefined && { status }), ...(lastRunId !== undefined && { lastRunId }) },
      pendingInputs: { items: inputs },
      inputReceipts: inputs.filter(({ runId }) => inputRunIds.includes(runId)).map(({ runId }) => ({ runId, state: 'pending' })),
    };
  }

  /** The runs of the job that a text names first. */
  search(raw: object): object {
    const { query, limit } = parse(searchParams, raw, 'sessions.search');
    const [jobId = ''] = query.split(' ');
    const found = this.#deps.store.data.sessions.filter(({ key }) => key.includes(`:cron:${jobId}:run:`)).slice(-limit);
    const results = found.map(({ key, rows }) => {
      const [sessionKey = key, sessionId = ''] = key.split(':run:');
      const [messageId = ''] = rows.map(({ __openclaw: { id } }) => id);
      return { sessionKey, sessionId, messageId };
    });
    return { results, indexing: false };
  }

  /** The sessions of the runs of this job, the oldest first, each under the id of its run. */
  #runsOf(jobKey: string): Session[] {
    return this.#deps.store.data.sessions.flatMap((session) => {
      const [key, sessionId] = session.key.split(':run:');
      return key === jobKey && sessionId !== undefined ? [{ ...session, sessionId }] : [];
    });
  }

  abort(raw: object): object {
    const { sessionKey, runId } = parse(abortParams, raw, 'chat.abort');
    const isAborted = this.#deps.runs.abort(sessionKey, runId);
    return { ok: true, aborted: isAborted, runIds: isAborted ? [runId] : [] };
  }

  list(raw: object): object {
    const { limit, offset } = parse(listParams, raw, 'sessions.list');
    const found = this.#deps.store.data.sessions.filter(({ key }) => !/:(cron|subagent):/.test(key));
    const sorted = found.toSorted((one, other) => other.updatedAt - one.updatedAt);
    const next = offset + limit;
    const sessions = sorted.slice(offset, next).map(({ key, sessionId, updatedAt }) => ({ key, sessionId, updatedAt }));
    return { sessions, ...(next < sorted.length && { nextOffset: next }) };
  }

  patch(raw: object): object {
    const { key, archived } = parse(patchParams, raw, 'sessions.patch');
    const { store } = this.#deps;
    store.open(key).isArchived = archived;
    store.save();
    return { ok: true, key };
  }

  reset(raw: object): object {
    const { key } = parse(keyParams, raw, 'sessions.reset');
    const { store } = this.#deps;
    const session = store.open(key);
    Object.assign(session, { rows: [], status: undefined, lastRunId: undefined, isArchived: false, inputs: [] });
    store.add(session, { role: 'system', content: 'Reset' });
    return { ok: true, key };
  }

  delete(raw: object): object {
    const { key } = parse(keyParams, raw, 'sessions.delete');
    const { store, runs } = this.#deps;
    if (runs.inFlight(key)) throw unavailable(`Session ${key} is still active; try again.`);
    const deleted = store.find(key) !== undefined;
    store.data.sessions = store.data.sessions.filter((one) => one.key !== key);
    store.save();
    return { ok: true, key, deleted, archived: [] };
  }

  /** Some seconds after the start, as a gateway does it by itself: what a dead process had begun goes on under another id. */
  #repeatInterrupted(): void {
    const { store, runs } = this.#deps;
    for (const { key, status, rows } of store.data.sessions) {
      if (status !== 'running' || runs.inFlight(key)) continue;
      const agentId = /^agent:([^:]+):conv:/.exec(key)?.[1];
      const provenance = { kind: 'internal_system', sourceTool: 'main_session_restart_recovery' };
      const asked = rows.findLast(({ role, provenance: by }) => role === 'user' && by?.sourceTool !== provenance.sourceTool);
      const prompt = typeof asked?.content === 'string' ? asked.content : '';
      const run = { runId: randomUUID(), sessionKey: key, message: GO_ON, prompt, provenance, onEnd: () => {} };
      if (agentId !== undefined) runs.add({ ...run, agentId });
    }
  }
}

/** A turn of an earlier process that never began. */
function isSpent({ inputs }: Session, runId: string): boolean {
  return inputs.some((input) => input.runId === runId && input.state !== 'queued');
}

function spent(): Refusal {
  return unavailable('Pending input ownership ended; submit a new turn to continue');
}

export function parse<T>(schema: z.ZodType<T>, raw: object, method: string): T {
  const parsed = schema.safeParse(raw);
  if (!parsed.success)
    throw invalid(`invalid ${method} params: ${parsed.error.issues.map(({ path }) => path.join('.')).join(', ')}`);
  return parsed.data;
}
