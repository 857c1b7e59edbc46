import { isIPv4 } from 'node:net';
import { z } from 'zod';
import { fromJson } from './from-json.ts';
import { list } from './values.ts';

/** Addresses, or Pods by their namespace and one of their labels. */
export type Peer = { cidr: string } | { namespace: string; label: string; value: string };

const PEER = /^([a-z0-9-]+)\/([A-Za-z0-9./_-]+)=([A-Za-z0-9._-]*)$/;
const cidr = z.cidrv4();
const whole = z.coerce.number().int();
const peers = list.transform((entries, context): Peer[] =>
  entries.flatMap((entry): Peer[] => {
    if (isIPv4(entry)) return [{ cidr: `${entry}/32` }];
    if (cidr.safeParse(entry).success) return [{ cidr: entry }];
    const [, namespace, label, value] = PEER.exec(entry) ?? [];
    if (namespace !== undefined && label !== undefined && value !== undefined) return [{ namespace, label, value }];
    context.addIssue(`must be addresses such as 10.1.0.0/16, or Pods such as thermidora/app=api: ${entry} is neither`);
    return [];
  }),
);

/** The settings of RUNTIME=kubernetes alone. */
export const kubernetesSettings = {
  KUBERNETES_CONFIG: z
    .string()
    .min(1)
    .optional()
    .describe(
      'with `kubernetes`: a kubeconfig with a token or a client certificate; unset: the ServiceAccount of the Pod of the worker',
    ),
  KUBERNETES_SERVICE_HOST: z
    .string()
    .min(1)
    .default('kubernetes.default.svc')
    .describe('with `kubernetes` and without a kubeconfig: the API server; the kubelet puts it into every Pod'),
  KUBERNETES_SERVICE_PORT: whole.min(1).max(65_535).default(443).describe('its port; the kubelet puts it there too'),
  KUBERNETES_NAMESPACE: z
    .string()
    .regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/, 'must be the name of a namespace')
    .default('thermidora-instances')
    .describe('with `kubernetes`: the namespace of instances, made by `deploy/kubernetes/instances.yaml`'),
  KUBERNETES_CONTROL_PLANE: peers.describe(
    'with `kubernetes`: where API processes and workers call gateways from, comma separated: addresses (`10.1.0.0/16`) or Pods (`<namespace>/<label>=<value>`)',
  ),
  KUBERNETES_RELAY: peers.describe(
    'with `kubernetes`: where the model relay is, in the same form, when it is behind a Service; `RELAY_HOST` itself is one of them',
  ),
  KUBERNETES_STORAGE_CLASS: z
    .string()
    .min(1)
    .optional()
    .describe('with `kubernetes`: of the claims of instances; unset: that of the cluster'),
  KUBERNETES_ACCESS_MODE: z
    .enum(['ReadWriteOncePod', 'ReadWriteOnce'])
    .default('ReadWriteOncePod')
    .describe('with `kubernetes`: of the claims of instances; `ReadWriteOnce` where the storage class cannot do better'),
  KUBERNETES_REQUEST_MEMORY_MB: whole
    .min(128)
    .default(768)
    .describe('with `kubernetes`: memory that the scheduler keeps free for an instance'),
  KUBERNETES_REQUEST_CPUS: z.coerce
    .number()
    .min(0.01)
    .default(0.1)
    .describe('with `kubernetes`: processors that it keeps free for an instance'),
  KUBERNETES_NODE_SELECTOR: fromJson(z.record(z.string(), z.string()))
    .prefault('{}')
    .describe('with `kubernetes`: JSON, the labels of the nodes that take instances'),
  KUBERNETES_TOLERATIONS: fromJson(z.array(z.record(z.string(), z.union([z.string(), z.number()]))))
    .prefault('[]')
    .describe('with `kubernetes`: JSON, the `tolerations` of the Pods of instances'),
  KUBERNETES_PULL_SECRETS: list.describe(
    'with `kubernetes`: comma separated names of the Secrets by which the image of instances is pulled',
  ),
  KUBERNETES_USER_NAMESPACES: z
    .stringbool()
    .default(false)
    .describe(
      'with `kubernetes`: whether each Pod has a user namespace of its own (`hostUsers: false`), which the nodes must offer',
    ),
};

/** Of OF_RUNTIME: the API reads none of them. */
export const OF_KUBERNETES = {
  KUBERNETES_CONFIG: true,
  KUBERNETES_SERVICE_HOST: true,
  KUBERNETES_SERVICE_PORT: true,
  KUBERNETES_NAMESPACE: true,
  KUBERNETES_CONTROL_PLANE: true,
  KUBERNETES_RELAY: true,
  KUBERNETES_STORAGE_CLASS: true,
  KUBERNETES_ACCESS_MODE: true,
  KUBERNETES_REQUEST_MEMORY_MB: true,
  KUBERNETES_REQUEST_CPUS: true,
  KUBERNETES_NODE_SELECTOR: true,
  KUBERNETES_TOLERATIONS: true,
  KUBERNETES_PULL_SECRETS: true,
  KUBERNETES_USER_NAMESPACES: true,
} as const;
