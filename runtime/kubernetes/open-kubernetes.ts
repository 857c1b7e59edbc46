import type { Config } from '../../lib/settings/config.ts';
import { accessFrom } from './access.ts';
import { KubernetesApi } from './api.ts';
import type { Cluster } from './cluster.ts';
import { KubernetesDriver } from './kubernetes-driver.ts';
import { namesOf } from './names.ts';
import type { WallsSettings } from './policies.ts';
import type { PodSettings } from './settings.ts';

export type KubernetesSettings = Pick<
  Config,
  | 'RELAY_HOST'
  | 'RELAY_PORT'
  | 'EGRESS'
  | 'EGRESS_MAIL'
  | `INSTANCE_${'IMAGE' | 'DISK_MB' | 'MEMORY_MB' | 'CPUS' | 'DNS' | 'RUNTIME' | 'FIRST_UID'}`
  | `KUBERNETES_${'CONFIG' | 'SERVICE_HOST' | 'SERVICE_PORT' | 'NAMESPACE' | 'CONTROL_PLANE' | 'RELAY' | 'STORAGE_CLASS' | 'ACCESS_MODE' | 'REQUEST_MEMORY_MB' | 'REQUEST_CPUS' | 'NODE_SELECTOR' | 'TOLERATIONS' | 'PULL_SECRETS' | 'USER_NAMESPACES'}`
>;

interface Deps {
  installationId: string;
  relayUrl: string;
  resolvers: readonly string[];
  image: () => Promise<string>;
}

const DISK_MB = 10_240;

/** The driver of RUNTIME=kubernetes. Nothing is asked of the cluster before the driver is used. */
export function openKubernetes(
  config: KubernetesSettings,
  { installationId, relayUrl, resolvers, image }: Deps,
): KubernetesDriver {
  const pods = async (): Promise<PodSettings> => ({ ...podSettings(config, resolvers), image: await image() });
  return new KubernetesDriver({ cluster: clusterOf(config, installationId), pods, walls: wallsOf(config, resolvers), relayUrl });
}

type ClusterSettings = Pick<KubernetesSettings, `KUBERNETES_${'CONFIG' | 'SERVICE_HOST' | 'SERVICE_PORT' | 'NAMESPACE'}`>;

/** What an installation has in a cluster. */
export function clusterOf(config: ClusterSettings, installationId: string): Cluster {
  const service = { host: config.KUBERNETES_SERVICE_HOST, port: config.KUBERNETES_SERVICE_PORT };
  return {
    api: new KubernetesApi(accessFrom(config.KUBERNETES_CONFIG, service)),
    namespace: config.KUBERNETES_NAMESPACE,
    names: namesOf(installationId),
  };
}

function podSettings(config: KubernetesSettings, resolvers: readonly string[]): Omit<PodSettings, 'image'> {
  return {
    memoryMb: config.INSTANCE_MEMORY_MB,
    cpus: config.INSTANCE_CPUS,
    requests: { memoryMb: config.KUBERNETES_REQUEST_MEMORY_MB, cpus: config.KUBERNETES_REQUEST_CPUS },
    diskMb: config.INSTANCE_DISK_MB ?? DISK_MB,
    storageClass: config.KUBERNETES_STORAGE_CLASS,
    accessMode: config.KUBERNETES_ACCESS_MODE,
    runtimeClass: config.INSTANCE_RUNTIME,
    nodeSelector: config.KUBERNETES_NODE_SELECTOR,
    tolerations: config.KUBERNETES_TOLERATIONS,
    pullSecrets: config.KUBERNETES_PULL_SECRETS,
    resolvers,
    firstUid: config.INSTANCE_FIRST_UID,
    userNamespaces: config.KUBERNETES_USER_NAMESPACES,
  };
}

function wallsOf(config: KubernetesSettings, resolvers: readonly string[]): WallsSettings {
  return {
    controlPlane: config.KUBERNETES_CONTROL_PLANE,
    relay: { peers: [{ cidr: `${config.RELAY_HOST}/32` }, ...config.KUBERNETES_RELAY], port: config.RELAY_PORT },
    egress: config.EGRESS,
    mail: config.EGRESS_MAIL,
    resolvers,
  };
}
