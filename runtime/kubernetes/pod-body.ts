import {
  containerEnvironment,
  CONFIG_DIR,
  ENTRYPOINT,
  GATEWAY_PORT,
  PROGRAM,
  SKILLS_DIR,
  STATE_DIR,
} from '../docker/in-container.ts';
import { gatewayCommand } from '../host/gateway-environment.ts';
import { CLAIM_DIR } from './claim.ts';
import { EPOCH_ANNOTATION, FINALIZER, ROLE_LABEL, SERVICE_ACCOUNT } from './names.ts';
import { LAYOUT_CONTAINER } from './pod-trouble.ts';
import type { PodSettings } from './settings.ts';

export interface PodOptions {
  /** Of the Pod, and of the claim and the Secret of its runtime. */
  name: string;
  runtimeName: string;
  labels: Record<string, string>;
  epoch: number;
  uid: number;
  settings: PodSettings;
}

/** An address at which no name server answers: without any, a Pod would use those of its cluster. */
const NO_RESOLVER = '192.0.2.53';
/** For those who end Pods without asking us: a drain of a node, an eviction. */
const GRACE_S = 30;
/** In memory, and small: TMPDIR lies on the claim. Some programs insist on /tmp. */
const TMP = { name: 'tmp', emptyDir: { medium: 'Memory', sizeLimit: '64Mi' } };
/** Of the programs that work on files. Each takes about 60 MiB, and its request up to twice its size. */
const FILES_RESOURCES = { limits: { memory: '384Mi', cpu: '1' }, requests: { memory: '32Mi', cpu: '10m' } };
/** The kubelet would make missing folders as root. */
const LAYOUT = `umask 077 && mkdir -p ${CLAIM_DIR}/state/home ${CLAIM_DIR}/state/tmp ${CLAIM_DIR}/state/skills && umask 022 && mkdir -p ${CLAIM_DIR}/skills`;

/**
 * A network plug-in may hear of a new Pod late. The gateway begins once the walls stand around this very Pod: when it does not reach the
 * API server any more. One that answers does so within half a second; what is dropped is not waited for longer.
 */
const AWAIT_WALLS = `
for look in {1..60}; do
  timeout 0.5 /bin/bash -c '</dev/tcp/$KUBERNETES_SERVICE_HOST/$KUBERNETES_SERVICE_PORT' 2>/dev/null || exit 0
  sleep 0.25
done
echo 'The Pod still reaches the API server: the NetworkPolicies of its namespace are not enforced.' | tee /dev/termination-log
exit 1`;

/** What keeps a container small and harmless, whatever runs in it. */
const HARDENED = {
  allowPrivilegeEscalation: false,
  capabilities: { drop: ['ALL'] },
  readOnlyRootFilesystem: true,
  privileged: false,
};

/** The Pod in which the gateway of a runtime runs. Nothing in it is secret. `start` is the object that stands for this start. */
export function gatewayPod(options: PodOptions, start: { name: string; uid: string }): object {
  const { settings } = options;
  const { image, memoryMb, cpus, requests } = settings;
  const gateway = {
    name: 'gateway',
    image,
    command: ENTRYPOINT,
    args: gatewayCommand(PROGRAM),
    workingDir: STATE_DIR,
    env: Object.entries(containerEnvironment(memoryMb)).map(([name, value]) => ({ name, value })),
    ports: [{ name: 'gateway', containerPort: GATEWAY_PORT }],
    resources: {
      limits: { memory: `${memoryMb}Mi`, cpu: String(cpus) },
      requests: { memory: `${Math.min(requests.memoryMb, memoryMb)}Mi`, cpu: String(Math.min(requests.cpus, cpus)) },
    },
    securityContext: HARDENED,
    volumeMounts: [
      { name: 'claim', mountPath: STATE_DIR, subPath: 'state' },
      { name: 'claim', mountPath: SKILLS_DIR, subPath: 'skills', readOnly: true },
      { name: 'config', mountPath: CONFIG_DIR, readOnly: true },
      { name: 'users', mountPath: '/etc/passwd', subPath: 'passwd', readOnly: true },
      { name: 'users', mountPath: '/etc/group', subPath: 'group', readOnly: true },
      { name: 'tmp', mountPath: '/tmp' },
    ],
  };
  const secret = (name: string, keys: string[]) => {
    return { name, secret: { secretName: options.runtimeName, items: keys.map((key) => ({ key, path: key })) } };
  };
  return pod(options, 'gateway', {
    metadata: {
      finalizers: [FINALIZER],
      ownerReferences: [{ apiVersion: 'v1', kind: 'ConfigMap', name: start.name, uid: start.uid }],
    },
    spec: {
      initContainers: [layoutContainer(image, AWAIT_WALLS), { ...filesContainer('files', image), restartPolicy: 'Always' }],
      containers: [gateway],
      volumes: [secret('config', ['openclaw.json']), secret('users', ['passwd', 'group']), TMP],
    },
  });
}

/**
 * The Pod that works on the files of an instance whose gateway does not run. It ends by itself when it had nothing to do for a
 * minute, and after an hour in any case.
 */
export function filesPod(options: PodOptions, claim: { uid: string }): object {
  const { image } = options.settings;
  const wait = 'sleep 60; while pgrep -f [r]untime/image/ >/dev/null; do sleep 5; done';
  // The cluster itself deletes one whose claim is gone.
  const owner = { apiVersion: 'v1', kind: 'PersistentVolumeClaim', name: options.runtimeName, uid: claim.uid };
  return pod(options, 'files', {
    metadata: { ownerReferences: [owner] },
    spec: {
      activeDeadlineSeconds: 3_600,
      initContainers: [layoutContainer(image)],
      containers: [{ ...filesContainer('main', image), args: ['/bin/bash', '-c', wait] }],
      volumes: [],
    },
  });
}

interface Parts {
  metadata: object;
  spec: { volumes: object[] } & Record<string, unknown>;
}

function pod({ name, runtimeName, labels, epoch, uid, settings }: PodOptions, role: string, parts: Parts): object {
  const { nodeSelector, tolerations, pullSecrets, resolvers, runtimeClass, userNamespaces } = settings;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      labels: { ...labels, [ROLE_LABEL]: role },
      annotations: { [EPOCH_ANNOTATION]: String(epoch) },
      ...parts.metadata,
    },
    spec: {
      // Who is to run is the reconciler's decision.
      restartPolicy: 'Never',
      terminationGracePeriodSeconds: GRACE_S,
      // A gateway takes up the state of a dead one only under the same host name.
      hostname: runtimeName.slice(0, 63).replace(/-+$/, ''),
      serviceAccountName: SERVICE_ACCOUNT,
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      dnsPolicy: 'None',
      dnsConfig: { nameservers: resolvers.length === 0 ? [NO_RESOLVER] : resolvers.slice(0, 3) },
      securityContext: {
        runAsNonRoot: true,
        runAsUser: uid,
        runAsGroup: uid,
        fsGroup: uid,
        fsGroupChangePolicy: 'OnRootMismatch',
        seccompProfile: { type: 'RuntimeDefault' },
      },
      nodeSelector,
      tolerations,
      imagePullSecrets: pullSecrets.map((secret) => ({ name: secret })),
      ...(runtimeClass !== undefined && { runtimeClassName: runtimeClass }),
      ...(userNamespaces && { hostUsers: false }),
      ...parts.spec,
      volumes: [{ name: 'claim', persistentVolumeClaim: { claimName: runtimeName } }, ...parts.spec.volumes],
    },
  };
}

/** Makes the folders of the claim, and goes on with more, where there is any. */
function layoutContainer(image: string, more = ''): object {
  return {
    name: LAYOUT_CONTAINER,
    image,
    command: ['/bin/bash', '-c', `${LAYOUT} || exit\n${more}`],
    resources: FILES_RESOURCES,
    securityContext: HARDENED,
    volumeMounts: [{ name: 'claim', mountPath: CLAIM_DIR }],
  };
}

/** Has the claim and nothing else: it works whatever the gateway has done to its own processes or memory. */
function filesContainer(name: string, image: string): object {
  return {
    name,
    image,
    command: ['/usr/bin/tini', '--'],
    args: ['/bin/sleep', 'infinity'],
    workingDir: '/',
    resources: FILES_RESOURCES,
    securityContext: HARDENED,
    volumeMounts: [
      { name: 'claim', mountPath: CLAIM_DIR },
      { name: 'claim', mountPath: STATE_DIR, subPath: 'state' },
    ],
  };
}

/** What the Secret of a runtime has beside its configuration: by these, programs find the user that they run as. */
export function usersOf(uid: number): Record<'passwd' | 'group', string> {
  return {
    passwd: `root:x:0:0::/root:/bin/bash\nnode:x:${uid}:${uid}::/home/node:/bin/bash\n`,
    group: `root:x:0:\nnode:x:${uid}:\n`,
  };
}
