import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { Backoff } from '../../lib/async/backoff.ts';
import { jsonOrNull } from '../../lib/text/json-or-null.ts';
import { ApiError } from './api.ts';
import type { Cluster } from './cluster.ts';
import { pathOf } from './names.ts';
import { podOf } from './pod-state.ts';
import type { Pod } from './pod-state.ts';

const event = z.discriminatedUnion('type', [
  z.object({ type: z.enum(['ADDED', 'MODIFIED', 'DELETED']), object: z.unknown() }),
  z.object({
    type: z.literal('BOOKMARK'),
    object: z.looseObject({
      metadata: z.looseObject({ resourceVersion: z.string(), annotations: z.record(z.string(), z.string()).optional() }),
    }),
  }),
  z.object({ type: z.literal('ERROR'), object: z.looseObject({ code: z.number().optional(), message: z.string().optional() }) }),
]);
type Event = z.infer<typeof event>;

const ALL_SENT = 'k8s.io/initial-events-end';
/** The server ends a watch after it; another one goes on where it was. */
const WATCH_S = 300;
/** At least a bookmark comes each minute. */
const SILENCE_MS = 90_000;
/** More than the largest object that the API server stores. */
const MAX_LINE_BYTES = 4 * 1024 ** 2;
/** For the first answer: it carries all Pods of the installation. */
const SYNC_MS = 30_000;
const GONE = 410;

/**
 * The Pods of an installation, by their names, as one watch tells of them. It begins with the first question and goes on for as long
 * as the process lives, which it does not keep alive. Of each Pod little is kept: there may be ten thousand.
 */
export class PodWatch {
  readonly #cluster: Cluster;
  readonly #onChange: (pod: Pod) => void;
  readonly #pods = new Map<string, Pod>();
  readonly #waiting = new Set<() => void>();
  #isCurrent = false;
  #isRunning = false;
  #hasFailed = false;
  #firstTry: Promise<void> | null = null;
  #version: string | null = null;

  /** `onChange` hears of each Pod that is new or has changed. */
  constructor(cluster: Cluster, onChange: (pod: Pod) => void) {
    this.#cluster = cluster;
    this.#onChange = onChange;
  }

  /** The Pods by their names; null while the watch is broken, so that nothing is told that may be old. */
  async known(signal?: AbortSignal): Promise<ReadonlyMap<string, Pod> | null> {
    if (!this.#isRunning) {
      this.#isRunning = true;
      void this.#watch();
    }
    this.#firstTry ??= this.#untilTried();
    await this.#firstTry;
    signal?.throwIfAborted();
    return this.#isCurrent ? this.#pods : null;
  }

  /** Takes in what the answer to a call of ours says, so that a look behind the call sees it. */
  learn(pod: Pod): void {
    const before = this.#pods.get(pod.name);
    if (!before || Number(pod.version) > Number(before.version)) this.#set(pod);
  }

  /** Takes in that a Pod is gone. */
  forget({ name, uid }: Pick<Pod, 'name' | 'uid'>): void {
    if (this.#pods.get(name)?.uid === uid) this.#pods.delete(name);
    this.#tell();
  }

  async #untilTried(): Promise<void> {
    const giveUp = performance.now() + SYNC_MS;
    while (!this.#isCurrent && !this.#hasFailed && performance.now() < giveUp) await this.#change(SYNC_MS);
  }

  /** Returns at the next change of any Pod, and after `withinMs`. Throws the signal's reason. */
  async #change(withinMs: number, signal?: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, withinMs);
    signal?.addEventListener('abort', () => resolve(), { once: true });
    this.#waiting.add(resolve);
    await promise;
    this.#waiting.delete(resolve);
    clearTimeout(timer);
    signal?.throwIfAborted();
  }

  /** The same for waits on one Pod, at most a second: what the watch has missed is asked for. */
  async nextChange(signal: AbortSignal): Promise<void> {
    await this.known(signal);
    await this.#change(1_000, signal);
  }

  async #watch(): Promise<void> {
    const pauses = new Backoff({ firstMs: 100, longestMs: 5_000 });
    for (;;) {
      try {
        await this.#watchOnce(pauses);
      } catch (error) {
        if (error instanceof ApiError && error.status === GONE) this.#version = null;
      }
      this.#isCurrent = false;
      this.#hasFailed = true;
      this.#tell();
      await sleep(pauses.nextMs(), undefined, { ref: false });
    }
  }

  async #watchOnce(pauses: Backoff): Promise<void> {
    const { api, namespace, names } = this.#cluster;
    const from = this.#version;
    const query = {
      watch: 'true',
      labelSelector: names.ours,
      allowWatchBookmarks: 'true',
      timeoutSeconds: String(WATCH_S),
      ...(from === null ? { sendInitialEvents: 'true', resourceVersionMatch: 'NotOlderThan' } : { resourceVersion: from }),
    };
    const seen = from === null ? new Set<string>() : null;
    const response = await api.stream('GET', pathOf(namespace, 'pods'), { query, timeoutMs: SILENCE_MS });
    response.socket.unref();
    if (from !== null) this.#becomeCurrent(pauses);
    for await (const line of linesOf(response as AsyncIterable<Buffer>)) {
      const told = event.parse(jsonOrNull(line));
      this.#take(told, seen);
      if (told.type === 'BOOKMARK' && told.object.metadata.annotations?.[ALL_SENT] === 'true') {
        for (const name of this.#pods.keys()) if (!seen?.has(name)) this.#pods.delete(name);
        this.#becomeCurrent(pauses);
      }
    }
  }

  #take(told: Event, seen: Set<string> | null): void {
    if (told.type === 'ERROR') throw new ApiError(told.object.code ?? 500, told.object.message ?? 'the watch ended');
    if (told.type === 'BOOKMARK') {
      this.#version = told.object.metadata.resourceVersion;
      return;
    }
    const pod = podOf(told.object);
    if (this.#version !== null || this.#isCurrent) this.#version = pod.version;
    seen?.add(pod.name);
    if (told.type === 'DELETED') this.forget(pod);
    else this.learn(pod);
  }

  #becomeCurrent(pauses: Backoff): void {
    pauses.reset();
    this.#isCurrent = true;
    this.#tell();
  }

  #set(pod: Pod): void {
    this.#pods.set(pod.name, pod);
    this.#onChange(pod);
    this.#tell();
  }

  #tell(): void {
    for (const resolve of this.#waiting) resolve();
  }
}

async function* linesOf(pieces: AsyncIterable<Buffer>): AsyncGenerator<string> {
  let held: Buffer[] = [];
  let size = 0;
  for await (const piece of pieces) {
    let rest = piece;
    for (let end = rest.indexOf('\n'); end >= 0; end = rest.indexOf('\n')) {
      yield Buffer.concat([...held, rest.subarray(0, end)]).toString();
      [held, size, rest] = [[], 0, rest.subarray(end + 1)];
    }
    held.push(rest);
    size += rest.length;
    if (size > MAX_LINE_BYTES) throw new Error('An object of the watch is too large.');
  }
}
