import type { RuntimeSpec } from '../driver.ts';
import { GATEWAY_PORT } from '../docker/in-container.ts';
import { orElse } from './api.ts';
import type { Cluster } from './cluster.ts';
import { EPOCH_ANNOTATION, pathOf } from './names.ts';
import { usersOf } from './pod-body.ts';

const MANAGER = 'thermidora';

/** Writes the configuration of a runtime, and by which name its processes are known, into the Secret that its Pod mounts. */
export async function writeSecret(
  { api, namespace, names }: Cluster,
  spec: RuntimeSpec,
  { uid, epoch, signal }: { uid: number; epoch: number; signal: AbortSignal },
): Promise<void> {
  const { runtimeId, renderConfig } = spec;
  const name = names.of(runtimeId);
  const files = { 'openclaw.json': renderConfig({ port: GATEWAY_PORT, bind: 'lan' }), ...usersOf(uid) };
  const body = {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name, labels: names.labelsOf(runtimeId), annotations: { [EPOCH_ANNOTATION]: String(epoch) } },
    data: Object.fromEntries(Object.entries(files).map(([key, text]) => [key, Buffer.from(text).toString('base64')])),
  };
  const query = { fieldManager: MANAGER, force: 'true' };
  await api.call('PATCH', pathOf(namespace, 'secrets', name), { body, type: 'application/apply-patch+yaml', query, signal });
}

/** Removes the configuration of a runtime. */
export async function deleteSecret({ api, namespace, names }: Cluster, runtimeId: string, signal: AbortSignal): Promise<void> {
  await orElse(404, null, () => api.call('DELETE', pathOf(namespace, 'secrets', names.of(runtimeId)), { signal }));
}
