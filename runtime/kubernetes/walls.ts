import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { jsonOrNull } from '../../lib/text/json-or-null.ts';
import { PROGRAM } from '../docker/in-container.ts';
import { PlacementError } from '../placement-error.ts';
import { orElse } from './api.ts';
import type { Cluster } from './cluster.ts';
import { INSTALLATION_LABEL, pathOf, ROLE_LABEL, SERVICE_ACCOUNT } from './names.ts';
import { policiesOf } from './policies.ts';
import type { WallsSettings } from './policies.ts';
import { podOf } from './pod-state.ts';
import type { PodSettings } from './settings.ts';

/** The walls do not stand, so nothing may be started behind them. */
export class WallsError extends Error {}

const MANAGER = 'thermidora';
const POLICY_ANNOTATION = 'thermidora/proven';
/** A probe of an hour ago is as good as one of now; one of yesterday may be of another network plug-in. */
const PROVEN_MS = 24 * 3_600_000;
const PROBE_MS = 120_000;
const POLL_MS = 500;
const CONNECT_MS = 3_000;

/** A network plug-in may take some time to hear of a new Pod. */
const RAISED_MS = 20_000;

/**
 * Tries what no instance may reach: the API server, by its Service, and the kubelet of the node, until it reaches neither. What was
 * reached at last is told in the Pod's own status, so that nothing has to be let through for it.
 */
const PROBE = `
  const { connect } = require('net');
  const targets = { 'the API server': [process.env.KUBERNETES_SERVICE_HOST, process.env.KUBERNETES_SERVICE_PORT], 'the kubelet of its node': [process.env.NODE_ADDRESS, 10250] };
  const reached = ([host, port]) => new Promise((done) => {
    const socket = connect(Number(port), host, () => (done(true), socket.destroy()));
    socket.on('error', () => done(false));
    setTimeout(() => (done(false), socket.destroy()), ${CONNECT_MS});
  });
  const look = async () => (await Promise.all(Object.entries(targets).map(async ([name, target]) => (await reached(target)) ? [name] : []))).flat();
  (async () => {
    const giveUp = performance.now() + ${RAISED_MS};
    let found = await look();
    while (found.length > 0 && performance.now() < giveUp) {
      await new Promise((done) => setTimeout(done, 250));
      found = await look();
    }
    require('fs').writeFileSync('/dev/termination-log', JSON.stringify({ reached: found }));
    process.exit();
  })();`;
const told = z.object({ reached: z.array(z.string()) });
const policy = z.looseObject({ metadata: z.looseObject({ annotations: z.record(z.string(), z.string()).default({}) }) });

/**
 * Makes the walls around all instances stand, and returns when they were seen to: once a day, and whenever they are to be others, a Pod
 * tries to get through. Throws WallsError when it does.
 */
export async function ensureWalls(
  cluster: Cluster,
  settings: WallsSettings,
  pods: PodSettings,
  signal: AbortSignal,
): Promise<void> {
  const policies = policiesOf(cluster, settings);
  const digest = createHash('sha256').update(JSON.stringify(policies)).digest('hex').slice(0, 16);
  const path = policyPath(cluster, cluster.names.walls);
  const standing = await cluster.api.find(path, { signal });
  const [known, at] = (standing === null ? '' : (policy.parse(standing).metadata.annotations[POLICY_ANNOTATION] ?? '')).split(
    '@',
  );
  if (known === digest && Date.now() - Number(at) < PROVEN_MS) return;
  for (const { name, spec } of policies) await applyPolicy(cluster, name, spec, signal);
  const reached = await probe(cluster, pods, signal);
  if (reached.length > 0)
    throw new WallsError(
      `An instance would reach ${reached.join(' and ')}: the cluster does not enforce NetworkPolicies. Install a network plug-in that does; nothing is started before.`,
    );
  const body = { metadata: { annotations: { [POLICY_ANNOTATION]: `${digest}@${Date.now()}` } } };
  await cluster.api.call('PATCH', path, { body, type: 'application/merge-patch+json', signal });
}

function policyPath({ namespace }: Cluster, name: string): string {
  return `/apis/networking.k8s.io/v1/namespaces/${namespace}/networkpolicies/${name}`;
}

async function applyPolicy(cluster: Cluster, name: string, spec: object, signal: AbortSignal): Promise<void> {
  const labels = { [INSTALLATION_LABEL]: cluster.names.installation };
  const body = { apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy', metadata: { name, labels }, spec };
  const query = { fieldManager: MANAGER, force: 'true' };
  await cluster.api.call('PATCH', policyPath(cluster, name), { body, type: 'application/apply-patch+yaml', query, signal });
}

/** What a Pod behind the walls has reached. Workers that look at the same time share it, and one of them removes it first. */
async function probe(cluster: Cluster, settings: PodSettings, signal: AbortSignal): Promise<string[]> {
  const { api, namespace, names } = cluster;
  const path = pathOf(namespace, 'pods', `${names.walls}-probe`);
  const body = probePod(`${names.walls}-probe`, names.installation, settings);
  const giveUp = performance.now() + PROBE_MS;
  for (;;) {
    const found = await api.find(path, { signal });
    const pod = found === null ? null : podOf(found);
    if (pod === null) await orElse(409, null, () => api.call('POST', pathOf(namespace, 'pods'), { body, signal }));
    const answer = told.safeParse(jsonOrNull(pod?.end?.message ?? '')).data;
    if (pod?.end)
      await orElse([404, 409], null, () =>
        api.call('DELETE', path, { body: { preconditions: { uid: pod.uid }, gracePeriodSeconds: 1 } }),
      );
    if (answer) return answer.reached;
    if (performance.now() > giveUp)
      throw new PlacementError(`The probe of the walls does not answer: ${pod?.trouble ?? 'no reason is given'}`);
    await sleep(POLL_MS, undefined, { signal });
  }
}

function probePod(name: string, installation: string, settings: PodSettings): object {
  const { image, nodeSelector, tolerations, pullSecrets, runtimeClass } = settings;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, labels: { [INSTALLATION_LABEL]: installation, [ROLE_LABEL]: 'probe' } },
    spec: {
      restartPolicy: 'Never',
      activeDeadlineSeconds: 300,
      serviceAccountName: SERVICE_ACCOUNT,
      automountServiceAccountToken: false,
      dnsPolicy: 'None',
      dnsConfig: { nameservers: ['192.0.2.53'] },
      nodeSelector,
      tolerations,
      imagePullSecrets: pullSecrets.map((secret) => ({ name: secret })),
      ...(runtimeClass !== undefined && { runtimeClassName: runtimeClass }),
      securityContext: { runAsNonRoot: true, runAsUser: settings.firstUid, seccompProfile: { type: 'RuntimeDefault' } },
      containers: [
        {
          name: 'main',
          image,
          command: [PROGRAM.node, '-e', PROBE],
          env: [{ name: 'NODE_ADDRESS', valueFrom: { fieldRef: { fieldPath: 'status.hostIP' } } }],
          resources: { limits: { memory: '128Mi', cpu: '500m' }, requests: { memory: '32Mi', cpu: '10m' } },
          securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] }, readOnlyRootFilesystem: true },
        },
      ],
    },
  };
}
