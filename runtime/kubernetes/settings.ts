/** What a Pod of an instance is made with. */
export interface PodSettings {
  image: string;
  memoryMb: number;
  cpus: number;
  /** What the scheduler keeps free on a node for each instance. */
  requests: { memoryMb: number; cpus: number };
  diskMb: number;
  /** Undefined: that of the cluster. */
  storageClass: string | undefined;
  accessMode: 'ReadWriteOncePod' | 'ReadWriteOnce';
  runtimeClass: string | undefined;
  nodeSelector: Record<string, string>;
  tolerations: readonly object[];
  pullSecrets: readonly string[];
  /** Asked by instances; empty: they resolve no names. */
  resolvers: readonly string[];
  /** The user ids of instances begin here, unless they have user namespaces. */
  firstUid: number;
  /** Whether user ids of a Pod mean nothing on its node. */
  userNamespaces: boolean;
}
