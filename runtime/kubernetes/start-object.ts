import { z } from 'zod';
import { StaleEpochError } from '../driver.ts';
import { orElse } from './api.ts';
import type { Cluster } from './cluster.ts';
import { EPOCH_ANNOTATION, pathOf } from './names.ts';

const startSchema = z.looseObject({
  metadata: z.looseObject({ name: z.string(), uid: z.string(), annotations: z.record(z.string(), z.string()).default({}) }),
});
const TRIES = 20;

/**
 * The object that stands for this start. The Pod is owned by it: every later start or stop deletes it, and then the cluster deletes
 * a Pod that a superseded attempt creates afterwards.
 */
export async function ensureStart(
  cluster: Cluster,
  runtimeId: string,
  { epoch, signal }: { epoch: number; signal: AbortSignal },
): Promise<{ name: string; uid: string }> {
  const { api, namespace, names } = cluster;
  for (let attempt = 1; attempt <= TRIES; attempt += 1) {
    const found = await find(cluster, runtimeId, signal);
    if (found && found.epoch > epoch) throw new StaleEpochError(runtimeId);
    if (found?.epoch === epoch) return found;
    if (found) await remove(cluster, found, signal);
    const metadata = {
      name: names.startOf(runtimeId),
      labels: names.labelsOf(runtimeId),
      annotations: { [EPOCH_ANNOTATION]: String(epoch) },
    };
    const body = { apiVersion: 'v1', kind: 'ConfigMap', metadata };
    await orElse(409, null, () => api.call('POST', pathOf(namespace, 'configmaps'), { body, signal }));
  }
  throw new Error(`The start of ${runtimeId} changes all the time.`);
}

/** From now on, no Pod of a start up to this epoch lives. */
export async function endStart(
  cluster: Cluster,
  runtimeId: string,
  { epoch, signal }: { epoch: number; signal: AbortSignal },
): Promise<void> {
  const found = await find(cluster, runtimeId, signal);
  if (found && found.epoch > epoch) throw new StaleEpochError(runtimeId);
  if (found) await remove(cluster, found, signal);
}

async function find({ api, namespace, names }: Cluster, runtimeId: string, signal: AbortSignal) {
  const found = await api.find(pathOf(namespace, 'configmaps', names.startOf(runtimeId)), { signal });
  if (found === null) return null;
  const { name, uid, annotations } = startSchema.parse(found).metadata;
  return { name, uid, epoch: Number(annotations[EPOCH_ANNOTATION] ?? 0) };
}

async function remove(
  { api, namespace }: Cluster,
  { name, uid }: { name: string; uid: string },
  signal: AbortSignal,
): Promise<void> {
  const path = pathOf(namespace, 'configmaps', name);
  await orElse([404, 409], null, () => api.call('DELETE', path, { body: { preconditions: { uid } }, signal }));
}
