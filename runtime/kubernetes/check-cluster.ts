import { randomUUID } from 'node:crypto';
import { ApiAwayError, ApiError, orElse } from './api.ts';
import type { Cluster } from './cluster.ts';
import { EPOCH_ANNOTATION, INSTALLATION_LABEL, pathOf } from './names.ts';

const INSTALL = 'Apply deploy/kubernetes/instances.yaml as an administrator of the cluster.';

/**
 * What an operator must know of the cluster, to be said at every start: one sentence for each. The policy of epochs is tried, because a
 * worker may not look at it. What cannot be asked is taken to be right.
 */
export async function checkCluster(cluster: Cluster): Promise<string[]> {
  try {
    if (await refusesLowerEpochs(cluster)) return [];
    return [`The cluster takes changes by attempts that newer ones have replaced: it lacks the policy of epochs. ${INSTALL}`];
  } catch (error) {
    if (error instanceof ApiAwayError) return [error.message];
    if (error instanceof ApiError) return [`${error.message}. ${INSTALL}`];
    throw error;
  }
}

async function refusesLowerEpochs({ api, namespace, names }: Cluster): Promise<boolean> {
  const name = `${names.walls}-check-${randomUUID().slice(0, 8)}`;
  const path = pathOf(namespace, 'configmaps', name);
  const bodyOf = (epoch: number) => {
    const metadata = {
      name,
      labels: { [INSTALLATION_LABEL]: names.installation },
      annotations: { [EPOCH_ANNOTATION]: String(epoch) },
    };
    return { apiVersion: 'v1', kind: 'ConfigMap', metadata };
  };
  await api.call('POST', pathOf(namespace, 'configmaps'), { body: bodyOf(2) });
  try {
    return (await orElse(403, 'refused', () => api.call('PUT', path, { body: bodyOf(1) }))) === 'refused';
  } finally {
    await orElse(404, null, () => api.call('DELETE', path));
  }
}
