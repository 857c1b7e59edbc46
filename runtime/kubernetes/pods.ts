import { orElse } from './api.ts';
import type { Cluster } from './cluster.ts';
import { EPOCH_ANNOTATION, pathOf } from './names.ts';
import { podOf } from './pod-state.ts';
import type { Pod } from './pod-state.ts';
import { PodWatch } from './pod-watch.ts';

/** The kubelet works on a Pod whose annotations have changed at once, and brings its Secret up to date with it; else after a minute. */
const STAMP_ANNOTATION = 'thermidora/config-written-at';
const MERGE = 'application/merge-patch+json';

/** The Pods of an installation: what is known of them, and the calls that change one. Each change names the Pod that was looked at by its uid. */
export class Pods {
  readonly watch: PodWatch;
  readonly #cluster: Cluster;

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
    // Of a Pod for files, nothing is left to be read.
    this.watch = new PodWatch(cluster, (pod) => {
      if (pod.role === 'files' && pod.status === 'ended' && !pod.isDeleting) void this.end(pod, 1).catch(() => undefined);
    });
  }

  /** As the watch last told of it, and asked for while the watch is broken. */
  async known(name: string, signal?: AbortSignal): Promise<Pod | null> {
    const known = await this.watch.known(signal);
    return known ? (known.get(name) ?? null) : this.find(name, signal);
  }

  /** As it is now. */
  async find(name: string, signal?: AbortSignal): Promise<Pod | null> {
    const found = await this.#cluster.api.find(this.#path(name), signal && { signal });
    if (found === null) return null;
    const pod = podOf(found);
    this.watch.learn(pod);
    return pod;
  }

  /** Null: there is one of this name. */
  async create(body: object, signal: AbortSignal): Promise<Pod | null> {
    const made = await orElse(409, null, () => this.#cluster.api.call('POST', this.#path(), { body, signal }));
    if (made === null) return null;
    const pod = podOf(made);
    this.watch.learn(pod);
    return pod;
  }

  /** Makes a Pod that runs that of this epoch, and has the kubelet look at its configuration. False: it is gone or another one. */
  async stamp({ name, uid }: Pod, { epoch, signal }: { epoch: number; signal: AbortSignal }): Promise<boolean> {
    const annotations = { [EPOCH_ANNOTATION]: String(epoch), [STAMP_ANNOTATION]: new Date().toISOString() };
    const body = { metadata: { uid, annotations } };
    const answer = await orElse([404, 409], null, () =>
      this.#cluster.api.call('PATCH', this.#path(name), { body, type: MERGE, signal }),
    );
    if (answer !== null) this.watch.learn(podOf(answer));
    return answer !== null;
  }

  /** Tells the node to end it, by force after the grace, of at least a second; also one that was told before to take more time. */
  async end({ name, uid }: Pod, graceSeconds: number, signal?: AbortSignal): Promise<void> {
    const body = { gracePeriodSeconds: graceSeconds, preconditions: { uid } };
    await orElse([404, 409], null, () => this.#cluster.api.call('DELETE', this.#path(name), { body, ...(signal && { signal }) }));
  }

  /** Lets the record of a Pod go that has ended. */
  async release({ name, uid }: Pod, signal: AbortSignal): Promise<void> {
    const body = { metadata: { uid, finalizers: null } };
    await orElse([404, 409], null, () => this.#cluster.api.call('PATCH', this.#path(name), { body, type: MERGE, signal }));
  }

  /** Waits until it is so of this Pod, or the Pod is gone, which is told as null. Undefined: it was not so in time. */
  async until(
    { name, uid }: Pick<Pod, 'name' | 'uid'>,
    isSo: (pod: Pod) => boolean,
    withinMs: number,
    signal: AbortSignal,
  ): Promise<Pod | null | undefined> {
    const giveUp = performance.now() + withinMs;
    for (let look = 0; ; look += 1) {
      let pod = await this.known(name, signal);
      // A watch may be late: now and then, and before a Pod is taken for gone, the API server itself is asked.
      if (pod?.uid !== uid || look % 5 === 0) pod = await this.find(name, signal);
      if (pod?.uid !== uid) {
        this.watch.forget({ name, uid });
        return null;
      }
      if (isSo(pod)) return pod;
      if (performance.now() > giveUp) return undefined;
      await this.watch.nextChange(signal);
    }
  }

  #path(name?: string): string {
    return pathOf(this.#cluster.namespace, 'pods', name);
  }
}
