import type { Notifications } from '../database/notifications.ts';
import { forgetRefusals } from '../database/instances/note-refusal.ts';
import { listRemovals } from '../database/messages/conversations.ts';
import { listTurnDuties, takeOverTurns } from '../database/messages/watched-turns.ts';
import type { WatchedInstance } from '../database/messages/watched-turns.ts';
import type { Gateway } from '../runtime/gateway/gateway.ts';
import { CronWatch } from './cron-watch.ts';
import { InstanceWatch } from './instance-watch.ts';
import { MessageWatch } from './message-watch.ts';
import { reportFlood, reportNotReady } from './report-refusal.ts';
import type { TurnDeps } from './turn-deps.ts';
import { runTransaction } from '../database/run-transaction.ts';

export type { WatchedInstance } from '../database/messages/watched-turns.ts';

export interface TurnWatch {
  /** Follows the instance over this connection from now on, instead of the one before. */
  attach(gateway: Gateway): void;
  /** Reports that the gateway process said once more that it is not ready; without a connection too. */
  noteUnready(bootId: string, failing: readonly string[]): void;
  /** Reports that the connection to the gateway process was closed because it sent too much. */
  noteFlood(bootId: string): void;
  /** Ends it. Resolves when nothing of it is under way any more. */
  detach(): Promise<void>;
}

/** Every instance that this worker watches. */
export interface TurnWatches {
  /**
   * For an instance whose shard this worker holds under this epoch. Sends nothing once another worker has taken the
   * shard; make a new one when it comes back.
   */
  watch(instance: WatchedInstance): TurnWatch;
  stop(): Promise<void>;
}

type Deps = TurnDeps & { notifications: Notifications };

const LOOK_MS = 1_000;
const SOON_MS = 20;

/**
 * Watches the turns of the watched instances: hears how they end, takes over those whose process died, sends what
 * waits for the watcher, ends what runs too long, aborts what was ended, removes conversations that were deleted. Polls the
 * database each second, in a few statements however many instances there are.
 */
export function createTurnWatches(deps: Deps): TurnWatches {
  const watches = new Watches(deps);
  return { watch: (instance) => watches.watch(instance), stop: () => watches.stop() };
}

interface Entry {
  current: InstanceWatch | null;
  /** What else is followed over the same connection. */
  beside: readonly { end(): Promise<void> }[];
}

class Watches {
  readonly #deps: Deps;
  readonly #entries = new Set<Entry>();
  readonly #ending = new Set<Promise<void>>();
  readonly #unsubscribe: () => void;
  #timer: NodeJS.Timeout | undefined;
  #looking: Promise<void> | null = null;
  #isStopped = false;
  /** Whether the last look found turns of ours, so that the end of one may make the next due. */
  #hasTurns = false;

  constructor(deps: Deps) {
    this.#deps = deps;
    this.#unsubscribe = deps.notifications.on('turn', (payload) => {
      if (!this.#looking && !this.#isStopped && (this.#hasTurns || payload === null)) this.#lookIn(SOON_MS);
    });
    this.#lookIn(LOOK_MS);
  }

  watch(instance: WatchedInstance): TurnWatch {
    const { instanceId } = instance;
    const entry: Entry = { current: null, beside: [] };
    this.#entries.add(entry);
    const orWarn = (reported: Promise<void>): void =>
      void reported.catch((err: unknown) =>
        this.#deps.log.warn({ err, instanceId }, 'could not record a refusal of a gateway; trying again'),
      );
    return {
      attach: (gateway) => {
        void this.#end(entry);
        entry.current = new InstanceWatch(this.#deps, instance, gateway);
        entry.beside = [new CronWatch(this.#deps, instanceId, gateway), new MessageWatch(this.#deps, instanceId, gateway)];
      },
      noteUnready: (bootId, failing) => orWarn(reportNotReady(this.#deps, { instanceId, bootId, failing })),
      noteFlood: (bootId) => orWarn(reportFlood(this.#deps, { instanceId, bootId })),
      detach: () => {
        this.#entries.delete(entry);
        return this.#end(entry);
      },
    };
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#unsubscribe();
    clearTimeout(this.#timer);
    await this.#looking;
    for (const entry of this.#entries) void this.#end(entry);
    await Promise.all(this.#ending);
  }

  #end(entry: Entry): Promise<void> {
    const all = entry.current ? [entry.current, ...entry.beside] : [];
    const ended = Promise.all(all.map((watch) => watch.end())).then(() => undefined);
    entry.current = null;
    entry.beside = [];
    this.#ending.add(ended);
    return ended.finally(() => this.#ending.delete(ended));
  }

  #lookIn(ms: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#looking = this.#look()
        .catch((err: unknown) => this.#deps.log.warn({ err }, 'could not look for turns; trying again'))
        .finally(() => {
          this.#looking = null;
          if (!this.#isStopped) this.#lookIn(LOOK_MS);
        });
    }, ms);
  }

  async #look(): Promise<void> {
    const watches = [...this.#entries].flatMap(({ current }) => current ?? []);
    if (watches.length === 0) return;
    const instances = watches.map(({ instance }) => instance);
    const em = this.#deps.orm.em.fork();
    await takeOverTurns(em, instances);
    const instanceIds = instances.map(({ instanceId }) => instanceId);
    await runTransaction(this.#deps.orm.em, (transaction) => forgetRefusals(transaction, instanceIds));
    const duties = await listTurnDuties(em, instances, this.#deps.turnTimeoutMs);
    this.#hasTurns = duties.length > 0;
    const byInstance = Map.groupBy(duties, ({ instanceId }) => instanceId);
    const removals = Map.groupBy(await listRemovals(em, instances), ({ instanceId }) => instanceId);
    for (const watch of watches) {
      const { instanceId } = watch.instance;
      watch.attend(byInstance.get(instanceId) ?? []);
      watch.remove(removals.get(instanceId) ?? []);
    }
  }
}
