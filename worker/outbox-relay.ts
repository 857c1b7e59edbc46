import type { MikroORM } from '@mikro-orm/postgresql';
import type { Client } from '@temporalio/client';
import type { Notifications } from '../database/notifications.ts';
import { claimOutbox, deleteOutbox, postponeOutbox } from '../database/processes/claim-outbox.ts';
import type { OutboxRow } from '../database/processes/claim-outbox.ts';
import type { Log } from '../lib/log.ts';
import { Backoff } from '../lib/async/backoff.ts';
import { GRPC, grpcCodeOf } from './temporal/grpc-code.ts';
import { startPoller } from './gateways/poller.ts';
import { ensureTemporalSetup, updateSchedules } from './temporal/schedules.ts';
import type { TemporalLink } from './temporal/temporal-link.ts';
import { wakeWorkflow, workflowIdOf } from './temporal/wake-workflow.ts';

export interface OutboxRelay {
  /** Claims nothing more; resolves when what was claimed is sent or given back. */
  stop(): Promise<void>;
}

interface Deps {
  orm: MikroORM;
  notifications: Pick<Notifications, 'on'>;
  temporal: Pick<TemporalLink, 'client' | 'connection' | 'namespace'>;
  monotonicMs: () => number;
  /** Starts an instance for the first time without its workflow; false when there is something left to do for it. Null: none is. */
  handOver: ((instanceId: string, signal: AbortSignal) => Promise<boolean>) | null;
  log: Log;
}

/** The rows of one workflow: one signal is enough for all of them. */
interface Wake {
  workflowId: string;
  rows: OutboxRow[];
}

const POLL_MS = 1_000;
const BATCH = 200;
const CONCURRENCY = 8;
/** Far longer than sending a batch takes: another relay repeats what this one left. */
const LEASE_MS = 30_000;
const RPC_MS = 5_000;
const HAND_OVER_MS = 5_000;
/** At once. There are not many ready gateways on a node. */
const HAND_OVERS = 8;
const SETUP_EVERY_MS = 60_000;
/** Temporal itself is away or overloaded, whatever workflow it is about. */
const AWAY: readonly (number | null)[] = [GRPC.unavailable, GRPC.deadlineExceeded, GRPC.resourceExhausted];

/**
 * Wakes workflows for the rows of the outbox, each at least once, and ensures each minute that what they need in Temporal exists.
 * While Temporal is away the rows wait. A workflow that cannot be woken holds up no other one.
 */
export function startOutboxRelay(deps: Deps): OutboxRelay {
  const { notifications, log } = deps;
  const relay = new Relay(deps);
  const poller = startPoller({
    everyMs: POLL_MS,
    look: () => relay.look(),
    onError: (err) => log.warn({ err }, 'the outbox could not be read; trying again'),
  });
  const forget = notifications.on('outbox', () => poller.wake());
  return {
    async stop() {
      forget();
      await Promise.all([relay.stop(), poller.stop()]);
    },
  };
}

class Relay {
  readonly #deps: Deps;
  readonly #away = new Backoff({ firstMs: 500, longestMs: 10_000 });
  readonly #failing = new Map<string, Backoff>();
  #quietUntil = 0;
  #setupDueAt = 0;
  #isFirstSetup = true;
  #isStopped = false;
  readonly #over = new AbortController();
  readonly #handOvers = new Set<Promise<void>>();

  constructor(deps: Deps) {
    this.#deps = deps;
  }

  /** Claims nothing more, and resolves when the hand-overs that are under way have ended. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#over.abort(new Error('This process is stopping'));
    await Promise.all(this.#handOvers);
  }

  async look(): Promise<void> {
    const { temporal, monotonicMs, orm } = this.#deps;
    const client = temporal.client();
    if (!client || monotonicMs() < this.#quietUntil) return;
    await this.#setUp(client);
    while (!this.#isStopped && monotonicMs() >= this.#quietUntil) {
      const rows = await claimOutbox(orm.em.fork(), { limit: BATCH, leaseMs: LEASE_MS });
      await this.#wakeAll(client, fold(rows));
      if (rows.length < BATCH) return;
    }
  }

  /** Ensures what a Temporal that lost its store no longer has: namespace, search attributes, schedules. Without these it refuses signals. */
  async #setUp(client: Client): Promise<void> {
    const { temporal, monotonicMs, log } = this.#deps;
    const connection = temporal.connection();
    if (!connection || monotonicMs() < this.#setupDueAt) return;
    this.#setupDueAt = monotonicMs() + SETUP_EVERY_MS;
    try {
      await ensureTemporalSetup({ connection, client, namespace: temporal.namespace });
      if (this.#isFirstSetup) await updateSchedules({ connection, client });
      this.#isFirstSetup = false;
    } catch (err) {
      log.warn({ err }, 'the schedules and search attributes of Temporal could not be set up; trying again');
      this.#setupDueAt = monotonicMs() + this.#away.nextMs();
    }
  }

  async #wakeAll(client: Client, wakes: Wake[]): Promise<void> {
    const queue = wakes.values();
    const workOff = async (): Promise<void> => {
      for (const wake of queue) if (!this.#handOver(client, wake)) await this.#wake(client, wake);
    };
    await Promise.all(Array.from({ length: CONCURRENCY }, workOff));
  }

  /** Begins to start an instance without its workflow, which is woken when that does not succeed. False: it has to be woken now. */
  #handOver(client: Client, wake: Wake): boolean {
    const { orm, handOver, log } = this.#deps;
    const [row] = wake.rows;
    if (!handOver || !row?.isUnstarted || this.#isStopped || this.#handOvers.size >= HAND_OVERS) return false;
    const { workflowId, rows } = wake;
    const signal = AbortSignal.any([this.#over.signal, AbortSignal.timeout(HAND_OVER_MS)]);
    const attempt = handOver(row.subjectId, signal).catch((err: unknown) => {
      log.warn({ err, workflowId }, 'an instance could not be given a gateway of the pool; its workflow goes on');
      return false;
    });
    const run = async (): Promise<void> => {
      // When this process dies meanwhile, another one goes on then.
      const [isDone] = await Promise.all([attempt, postponeOutbox(orm.em.fork(), idsOf(rows), 2 * HAND_OVER_MS)]);
      if (isDone) await deleteOutbox(orm.em.fork(), idsOf(rows));
      else await this.#wake(client, wake);
    };
    const done = run()
      // Its rows come back.
      .catch((err: unknown) => log.warn({ err }, 'the outbox could not be written'))
      .finally(() => this.#handOvers.delete(done));
    this.#handOvers.add(done);
    return true;
  }

  async #wake(client: Client, { workflowId, rows }: Wake): Promise<void> {
    const { orm, monotonicMs, log } = this.#deps;
    const ids = idsOf(rows);
    // Rows that were claimed before Temporal went away or this worker was told to stop.
    if (this.#isStopped || monotonicMs() < this.#quietUntil) return postponeOutbox(orm.em.fork(), ids, 0);
    try {
      const [row] = rows;
      if (row) await wakeWorkflow(client, row, RPC_MS);
    } catch (err) {
      const delayMs = this.#delayAfter(err, workflowId);
      log.warn({ err, workflowId, delayMs }, 'a workflow could not be woken; trying again');
      return postponeOutbox(orm.em.fork(), ids, delayMs);
    }
    this.#away.reset();
    this.#failing.delete(workflowId);
    await deleteOutbox(orm.em.fork(), ids);
  }

  #delayAfter(error: unknown, workflowId: string): number {
    const { monotonicMs } = this.#deps;
    if (AWAY.includes(grpcCodeOf(error))) {
      this.#quietUntil = monotonicMs() + this.#away.nextMs();
      return 0;
    }
    // Temporal may have lost its store: set it up again before the next wake-up.
    this.#setupDueAt = 0;
    const backoff = this.#failing.get(workflowId) ?? new Backoff({ firstMs: 1_000, longestMs: 60_000 });
    this.#failing.set(workflowId, backoff);
    return backoff.nextMs();
  }
}

function idsOf(rows: readonly OutboxRow[]): number[] {
  return rows.map(({ id }) => id);
}

function fold(rows: OutboxRow[]): Wake[] {
  const wakes = new Map<string, Wake>();
  for (const row of rows) {
    const workflowId = workflowIdOf(row);
    const wake = wakes.get(workflowId) ?? { workflowId, rows: [] };
    wake.rows.push(row);
    wakes.set(workflowId, wake);
  }
  return [...wakes.values()];
}
