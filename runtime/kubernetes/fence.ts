import { z } from 'zod';
import { StaleEpochError } from '../driver.ts';
import { orElse } from './api.ts';
import type { Cluster } from './cluster.ts';
import { EPOCH_ANNOTATION, pathOf } from './names.ts';

const fence = z.looseObject({
  metadata: z.looseObject({ resourceVersion: z.string(), annotations: z.record(z.string(), z.string()).default({}) }),
});
/** Others raise it at the same time, each once. */
const TRIES = 20;

/**
 * Throws StaleEpochError when a higher epoch has changed this runtime; remembers this one, in an object that outlives all others of
 * the runtime. Two at once cannot pass each other: the object is changed only in the state in which it was read.
 */
export async function raiseEpoch(
  { api, namespace, names }: Cluster,
  runtimeId: string,
  epoch: number,
  signal: AbortSignal,
): Promise<void> {
  const name = names.of(runtimeId);
  for (let attempt = 1; ; attempt += 1) {
    const found = await api.find(pathOf(namespace, 'configmaps', name), { signal });
    const version = found === null ? undefined : fence.parse(found).metadata.resourceVersion;
    const highest = epochIn(found);
    if (highest !== null && epoch < highest) throw new StaleEpochError(runtimeId);
    if (highest === epoch) return;
    const body = {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: {
        name,
        labels: names.labelsOf(runtimeId),
        annotations: { [EPOCH_ANNOTATION]: String(epoch) },
        resourceVersion: version,
      },
    };
    const [method, path] =
      found === null ? ['POST', pathOf(namespace, 'configmaps')] : ['PUT', pathOf(namespace, 'configmaps', name)];
    // It was made, changed or removed meanwhile.
    if ((await orElse([404, 409], 'taken', () => api.call(method, path, { body, signal }))) !== 'taken') return;
    if (attempt === TRIES) throw new Error(`The fence of ${runtimeId} changes all the time.`);
  }
}

/** The highest epoch that has changed this runtime; 0 when none has. */
export async function highestEpoch({ api, namespace, names }: Cluster, runtimeId: string): Promise<number> {
  return epochIn(await api.find(pathOf(namespace, 'configmaps', names.of(runtimeId)))) ?? 0;
}

/** Null: there is none, or it has lost its epoch by hand. */
function epochIn(found: unknown): number | null {
  const annotation = found === null ? undefined : fence.parse(found).metadata.annotations[EPOCH_ANNOTATION];
  return annotation === undefined ? null : z.coerce.number().int().min(0).parse(annotation);
}
