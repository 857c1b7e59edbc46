import { StaleEpochError } from '../driver.ts';
import type { MutationCall } from '../driver.ts';
import { NodeLostError, PlacementError } from '../placement-error.ts';
import { ensureClaim, findClaim } from './claim.ts';
import type { Cluster } from './cluster.ts';
import { highestEpoch } from './fence.ts';
import { filesPod, gatewayPod } from './pod-body.ts';
import type { PodOptions } from './pod-body.ts';
import type { Pod } from './pod-state.ts';
import type { Pods } from './pods.ts';
import type { PodSettings } from './settings.ts';
import { endStart, ensureStart } from './start-object.ts';

/** What a gateway that an earlier stop has told to end gets to do so. */
const STOPPING_S = 5;
/** The kubelet ends a container by force at the end of its grace, and says so within seconds. */
const REPORT_MS = 30_000;
/** A new node, a pulled image, a new disk: what a cluster may have to do for a Pod. */
const PLACED_MS = 180_000;
/** A trouble that lasts so long does not pass by itself. */
const TROUBLE_MS = 60_000;
const TRIES = 10;

/** Ends a Pod, and waits until its node says that it has ended. Throws NodeLostError when it does not. */
export async function endPod(pods: Pods, pod: Pod, graceMs: number, signal: AbortSignal): Promise<void> {
  // Zero would remove the object while the processes go on.
  const grace = Math.max(1, Math.ceil(graceMs / 1_000));
  if (pod.status !== 'ended') await pods.end(pod, grace, signal);
  const ended = await pods.until(pod, ({ status }) => status === 'ended', grace * 1_000 + REPORT_MS, signal);
  if (ended === undefined)
    throw new NodeLostError(
      `Node ${pod.node ?? 'unknown'} does not say that the Pod ${pod.name} has ended. The gateway may run on; the cluster ends it when the node is back.`,
    );
}

/** Ends a Pod and removes its object. */
export async function removePod(pods: Pods, pod: Pod, graceMs: number, signal: AbortSignal): Promise<void> {
  await endPod(pods, pod, graceMs, signal);
  // One that has ended by itself was not deleted yet. Its node still has to say that its sidecar has ended.
  await pods.end(pod, 1, signal);
  await pods.release(pod, signal);
  if ((await pods.until(pod, () => false, REPORT_MS, signal)) === undefined)
    throw new NodeLostError(`The Pod ${pod.name} was deleted, and does not go.`);
}

/** Ends what runs of a runtime and removes it, the Pod for its files included. */
export async function removeCompute(cluster: Cluster, pods: Pods, runtimeId: string, call: MutationCall): Promise<void> {
  const { names } = cluster;
  for (const name of [names.of(runtimeId), names.filesOf(runtimeId)]) {
    const pod = await findOurs(pods, name, call);
    if (pod) await removePod(pods, pod, 0, call.signal);
  }
  await endStart(cluster, runtimeId, call);
}

/**
 * Like ensureClaim. The cluster lets a deleted claim go when no Pod names it, and a gateway that has ended still has its Pod: that goes
 * first. Throws PlacementError when the claim does not go, because a gateway still runs with it.
 */
export async function ensureStorage(
  cluster: Cluster,
  pods: Pods,
  runtimeId: string,
  call: MutationCall,
  settings: PodSettings,
): Promise<number> {
  const claim = await findClaim(cluster, runtimeId, call.signal);
  if (claim?.isDeleting)
    for (const name of [cluster.names.of(runtimeId), cluster.names.filesOf(runtimeId)]) {
      const pod = await findOurs(pods, name, call);
      if (pod && (pod.status === 'ended' || pod.role === 'files')) await removePod(pods, pod, 0, call.signal);
    }
  return ensureClaim(cluster, runtimeId, call, settings);
}

/** Throws StaleEpochError when a newer attempt has made or taken up the Pod. */
export async function findOurs(pods: Pods, name: string, { epoch, signal }: MutationCall): Promise<Pod | null> {
  const pod = await pods.find(name, signal);
  if (pod && pod.epoch > epoch) throw new StaleEpochError(pod.runtimeId);
  return pod;
}

/** Makes the Pod of a runtime's gateway run, or takes up the one that runs, and waits until it does or has ended. */
export async function placeGateway(
  cluster: Cluster,
  pods: Pods,
  runtimeId: string,
  options: PodOptions,
  call: MutationCall,
): Promise<void> {
  const { signal, epoch } = call;
  for (let attempt = 1; ; attempt += 1) {
    const found = await findOurs(pods, options.name, call);
    if (found && !found.isDeleting && found.status !== 'ended') {
      if (await pods.stamp(found, call)) return untilPlaced(cluster, pods, found, signal);
    } else {
      if (found) await removePod(pods, found, STOPPING_S * 1_000, signal);
      const made = await createGateway(cluster, pods, runtimeId, options, call);
      if (made && (await highestEpoch(cluster, runtimeId)) > epoch) {
        await pods.end(made, 1, signal);
        throw new StaleEpochError(runtimeId);
      }
      if (made) return untilPlaced(cluster, pods, made, signal);
    }
    if (attempt === TRIES) throw new Error(`The Pod of ${runtimeId} changes all the time.`);
  }
}

async function createGateway(
  cluster: Cluster,
  pods: Pods,
  runtimeId: string,
  options: PodOptions,
  call: MutationCall,
): Promise<Pod | null> {
  // Two Pods cannot have the claim at the same time.
  const files = await pods.find(cluster.names.filesOf(runtimeId), call.signal);
  if (files) await removePod(pods, files, 0, call.signal);
  const start = await ensureStart(cluster, runtimeId, call);
  return pods.create(gatewayPod(options, start), call.signal);
}

/** Throws PlacementError with what the cluster says is missing. */
async function untilPlaced(cluster: Cluster, pods: Pods, pod: Pod, signal: AbortSignal): Promise<void> {
  const since = performance.now();
  let troubleSince: number | null = null;
  const isOver = (now: Pod): boolean => {
    if (now.status === 'ended' || (now.status === 'running' && now.address !== null)) return true;
    troubleSince = now.trouble === null ? null : (troubleSince ?? performance.now());
    return troubleSince !== null && performance.now() - troubleSince > TROUBLE_MS;
  };
  const placed = await pods.until(pod, isOver, PLACED_MS, signal);
  if (placed === null) throw new Error(`The Pod ${pod.name} was deleted while it started.`);
  if (placed && placed.status !== 'waiting' && (placed.startedAt !== null || placed.trouble === null)) return;
  const last = placed ?? (await pods.find(pod.name, signal));
  const claim = await findClaim(cluster, pod.runtimeId, signal);
  const because = last?.trouble ?? (claim?.isBound === false ? 'its claim is not bound to a volume' : 'no reason is given');
  const seconds = Math.round((performance.now() - since) / 1_000);
  throw new PlacementError(`The Pod ${pod.name} does not run after ${seconds} s: ${because}`);
}

/** The Pod and container in which programs work on the files of a runtime: beside its gateway, or, where none runs, one of their own. */
export async function placeForFiles(
  cluster: Cluster,
  pods: Pods,
  runtimeId: string,
  optionsOf: () => Promise<PodOptions>,
  signal: AbortSignal,
): Promise<{ pod: string; container: string }> {
  const { names } = cluster;
  for (let attempt = 1; attempt <= TRIES; attempt += 1) {
    const gateway = await pods.known(names.of(runtimeId), signal);
    if (gateway && !gateway.isDeleting && gateway.status !== 'ended') {
      const ready = await pods.until(
        gateway,
        ({ canWorkOnFiles, status }) => canWorkOnFiles || status === 'ended',
        PLACED_MS,
        signal,
      );
      if (ready?.canWorkOnFiles === true) return { pod: ready.name, container: 'files' };
      if (ready === undefined)
        throw new PlacementError(`The Pod ${gateway.name} does not run: ${gateway.trouble ?? 'no reason is given'}`);
      continue;
    }
    if (gateway?.isDeleting && gateway.status !== 'ended')
      await pods.until(gateway, ({ status }) => status === 'ended', PLACED_MS, signal);
    const own = await ownPod(cluster, pods, runtimeId, optionsOf, signal);
    if (own) return { pod: own.name, container: 'main' };
  }
  throw new Error(`The Pods of ${runtimeId} change all the time.`);
}

/** Null: it has ended meanwhile. */
async function ownPod(
  cluster: Cluster,
  pods: Pods,
  runtimeId: string,
  optionsOf: () => Promise<PodOptions>,
  signal: AbortSignal,
): Promise<Pod | null> {
  const name = cluster.names.filesOf(runtimeId);
  const found = await pods.find(name, signal);
  if (found && (found.isDeleting || found.status === 'ended')) {
    await removePod(pods, found, 0, signal);
    return null;
  }
  const claim = await findClaim(cluster, runtimeId, signal);
  if (!claim || claim.isDeleting) throw new Error(`The claim of ${runtimeId} is gone.`);
  const pod = found ?? (await pods.create(filesPod(await optionsOf(), claim), signal));
  if (!pod) return null;
  const ready = await pods.until(pod, ({ status }) => status !== 'waiting', PLACED_MS, signal);
  if (ready === undefined)
    throw new PlacementError(`The Pod ${name} does not run: ${(await pods.find(name, signal))?.trouble ?? 'no reason is given'}`);
  return ready?.status === 'running' ? ready : null;
}
