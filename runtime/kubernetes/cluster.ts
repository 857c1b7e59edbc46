import type { KubernetesApi } from './api.ts';
import type { Names } from './names.ts';

/** Where an installation keeps its instances, and how it is spoken to. */
export interface Cluster {
  api: KubernetesApi;
  namespace: string;
  names: Names;
}
