import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { z } from 'zod';
import { loadConfigOf, SETTINGS_OF } from '../../lib/settings/config.ts';
import { SERVICE_ACCOUNT } from '../../runtime/kubernetes/names.ts';
import { helm, objectsIn, renderChart } from '../support/helm.ts';
import type { Manifest } from '../support/helm.ts';

const ROOT = join(import.meta.dirname, '../..');
const VALUES = {
  existingSecret: 'keys',
  temporal: { address: 'temporal.example.com:7233' },
  instances: { image: 'registry.example.com/thermidora-instance:1', namespace: 'gateways' },
};
/** What the files of the Secret hold. */
const SECRETS: Record<string, string> = {
  'database-url': 'postgres://owner:pw@db.example.com/thermidora',
  'database-url-api': 'postgres://api:pw@db.example.com/thermidora',
  'database-url-worker': 'postgres://worker:pw@db.example.com/thermidora',
  'database-url-relay': 'postgres://relay:pw@db.example.com/thermidora',
  'master-keys': `k1:${Buffer.alloc(32).toString('base64')}`,
  'relay-keys': `k1:${Buffer.alloc(32, 1).toString('base64')}`,
  'operator-token': 'op_0123456789012345678901234567890123456789',
  'smtp-url': 'smtp://mail.example.com',
  'model-upstream-key': '',
};
/** What the kubelet puts into a Pod. */
const OF_KUBELET: Record<string, string> = { '$(OURS_RELAY_SERVICE_HOST)': '10.96.0.7', 'status.podIP': '10.1.2.3' };

const env = z.object({
  name: z.string(),
  value: z.string().optional(),
  valueFrom: z.object({ fieldRef: z.object({ fieldPath: z.string() }) }).optional(),
});
const container = z.looseObject({
  env: z.array(env).default([]),
  securityContext: z.unknown(),
  ports: z.array(z.object({ name: z.string(), containerPort: z.number() })).default([]),
  readinessProbe: z.object({ httpGet: z.object({ path: z.string(), port: z.string() }) }).optional(),
});
const withPods = z.looseObject({
  spec: z.looseObject({
    template: z.looseObject({
      metadata: z.looseObject({ labels: z.record(z.string(), z.string()) }),
      spec: z.looseObject({
        automountServiceAccountToken: z.boolean(),
        securityContext: z.unknown(),
        containers: z.tuple([container]),
        volumes: z.array(
          z.looseObject({
            name: z.string(),
            secret: z
              .looseObject({ secretName: z.string(), items: z.array(z.object({ key: z.string(), path: z.string() })).optional() })
              .optional(),
          }),
        ),
      }),
    }),
  }),
});
const PARTS = ['api', 'worker', 'relay', 'set-up', 'worker-version'] as const;

const named = (objects: readonly Manifest[], kind: string, name: string): Manifest =>
  objects.find((one) => one.kind === kind && one.metadata.name === name)!;
const podOf = (objects: readonly Manifest[], part: string) =>
  withPods.parse(objects.find((one) => one.metadata.name === `ours-${part}` && /Deployment|Job/.test(one.kind))).spec.template;

/** The environment of a part, with what stands in its files in the place of their names. */
function environmentOf(objects: readonly Manifest[], part: string): Record<string, string> {
  const { containers, volumes } = podOf(objects, part).spec;
  const files = new Set(volumes.flatMap(({ secret }) => secret?.items?.map(({ path }) => path) ?? []));
  return Object.fromEntries(
    containers[0].env.map(({ name, value = '', valueFrom }): [string, string] => {
      const [, file] = /^\/run\/thermidora\/(.+)$/.exec(value) ?? [];
      if (file !== undefined && files.has(file)) return [name.replace(/_FILE$/, ''), SECRETS[file] ?? ''];
      return [name, OF_KUBELET[valueFrom?.fieldRef.fieldPath ?? value] ?? value];
    }),
  );
}

describe('the chart', () => {
  test('is well formed for Helm, with all that is optional too', async () => {
    const all = {
      ...VALUES,
      api: { autoscaling: { enabled: true } },
      worker: { before: '0.0.9' },
      ingress: { enabled: true, host: 'api.example.com', tlsSecret: 'tls', className: 'nginx' },
      serviceMonitor: { enabled: true, labels: { release: 'prometheus' } },
      providersSecret: 'providers',
      settings: { MAIL_FROM: 'Us <us@example.com>', RATE_LIMIT_PER_MINUTE: 1_000 },
    };
    expect(await helm(['lint', 'deploy/chart', '--strict'], all)).toContain('0 chart(s) failed');
    const objects = await renderChart(all);
    expect(objects.map(({ kind, metadata }) => `${kind} ${metadata.name}`)).toEqual(
      expect.arrayContaining([
        'HorizontalPodAutoscaler ours-api',
        'Deployment ours-worker-before',
        'Ingress ours',
        'ServiceMonitor ours',
        'PodDisruptionBudget ours-worker',
      ]),
    );
    expect(named(objects, 'Deployment', 'ours-api')['spec']).not.toHaveProperty('replicas');
    expect(named(objects, 'ConfigMap', 'ours-settings')['data']).toEqual({
      MAIL_FROM: 'Us <us@example.com>',
      RATE_LIMIT_PER_MINUTE: '1000',
    });
  });

  test.each<[what: string, change: object, sentence: string]>([
    ['no Secret', { existingSecret: '' }, 'existingSecret'],
    ['an address without a port', { temporal: { address: 'temporal.example.com' } }, 'temporal/address'],
    ['no image of instances', { instances: { image: '' } }, 'instances/image'],
    ['a name that it does not know', { workers: { replicas: 3 } }, 'workers'],
    ['a secret among the settings', { settings: { MASTER_KEYS: 'k1:...' } }, 'MASTER_KEYS'],
    ['an ingress without a host', { ingress: { enabled: true } }, 'ingress/host'],
  ])('refuses %s', async (_, change, sentence) => {
    await expect(renderChart({ ...VALUES, ...change })).rejects.toThrow(sentence);
  });

  test('gives workers the rights and the policy of deploy/kubernetes/instances.yaml, and nothing else a right', async () => {
    const objects = await renderChart(VALUES);
    const applied = objectsIn(await readFile(join(ROOT, 'deploy/kubernetes/instances.yaml'), 'utf8'));
    const role = named(objects, 'Role', 'ours-worker');
    expect(role['rules']).toEqual(named(applied, 'Role', 'thermidora-worker')['rules']);
    expect(role.metadata.namespace).toBe('gateways');
    expect(named(objects, 'ValidatingAdmissionPolicy', 'gateways-epochs')['spec']).toEqual(
      named(applied, 'ValidatingAdmissionPolicy', 'thermidora-epochs')['spec'],
    );
    expect(named(objects, 'ServiceAccount', SERVICE_ACCOUNT)).toMatchObject({ metadata: { namespace: 'gateways' } });
    expect(named(applied, 'ServiceAccount', SERVICE_ACCOUNT)).toMatchObject({ automountServiceAccountToken: false });
    expect(named(objects, 'RoleBinding', 'ours-worker')).toMatchObject({
      metadata: { namespace: 'gateways' },
      subjects: [{ kind: 'ServiceAccount', name: 'ours-worker', namespace: 'control' }],
    });
    expect(
      objects
        .filter(({ kind }) => /Role$|Binding$/.test(kind))
        .map(({ kind }) => kind)
        .toSorted(),
    ).toEqual(['Role', 'RoleBinding', 'ValidatingAdmissionPolicyBinding']);
    expect(PARTS.filter((part) => podOf(objects, part).spec.automountServiceAccountToken)).toEqual(['worker']);
  });

  test('keeps the namespace of instances and the keys when the release goes', async () => {
    const objects = await renderChart({ ...VALUES, existingSecret: undefined, secrets: SECRETS });
    expect(named(objects, 'Namespace', 'gateways').metadata['annotations']).toEqual({ 'helm.sh/resource-policy': 'keep' });
    expect(named(objects, 'Secret', 'ours').metadata['annotations']).toMatchObject({ 'helm.sh/hook': 'pre-install,pre-upgrade' });
  });

  test('gives each part settings that it starts with, and the secrets of no other', async () => {
    const objects = await renderChart(VALUES);
    const worker = loadConfigOf(SETTINGS_OF.worker, environmentOf(objects, 'worker'));
    const api = loadConfigOf(SETTINGS_OF.api, environmentOf(objects, 'api'));
    const relay = loadConfigOf(SETTINGS_OF.relay, environmentOf(objects, 'relay'));
    loadConfigOf(SETTINGS_OF['set-up'], environmentOf(objects, 'set-up'));
    expect([worker.WORKER_HOST, worker.RELAY_HOST, worker.INSTANCE_IMAGE]).toEqual([
      '10.1.2.3',
      '10.96.0.7',
      'registry.example.com/thermidora-instance:1',
    ]);
    expect([api.HOST, relay.RELAY_HOST]).toEqual(['0.0.0.0', '0.0.0.0']);
    expect(worker.RELAY_PORT).toBe(relay.RELAY_PORT);
    const keys = PARTS.map((part) => [
      part,
      podOf(objects, part)
        .spec.volumes.flatMap(({ secret }) => secret?.items?.map(({ key }) => key) ?? [])
        .join(' '),
    ]);
    expect(Object.fromEntries(keys)).toEqual({
      api: 'database-url-api master-keys operator-token smtp-url',
      worker: 'database-url-worker master-keys',
      relay: 'database-url-relay relay-keys model-upstream-key',
      'set-up': 'database-url database-url-api database-url-worker database-url-relay master-keys',
      'worker-version': '',
    });
  });

  test('names the Pods that reach gateways and the relay by the labels that they have', async () => {
    const objects = await renderChart(VALUES);
    const { KUBERNETES_CONTROL_PLANE, KUBERNETES_RELAY } = loadConfigOf(SETTINGS_OF.worker, environmentOf(objects, 'worker'));
    const peerOf = (part: string) => {
      const label = 'thermidora/part';
      return { namespace: 'control', label, value: podOf(objects, part).metadata.labels[label] };
    };
    expect(KUBERNETES_CONTROL_PLANE).toEqual([peerOf('api'), peerOf('worker')]);
    expect(KUBERNETES_RELAY).toEqual([peerOf('relay')]);
    expect(named(objects, 'Service', 'ours-relay')['spec']).toMatchObject({
      selector: expect.objectContaining({ 'thermidora/part': 'ours-relay' }),
      ports: expect.arrayContaining([{ name: 'relay', port: 3001, targetPort: 'relay' }]),
    });
  });

  test('lets only API processes ask workers, and only instances the relay', async () => {
    const objects = await renderChart(VALUES);
    const { WORKER_PORT, RELAY_PORT } = loadConfigOf(SETTINGS_OF.worker, environmentOf(objects, 'worker'));
    const api = { podSelector: { matchLabels: { 'thermidora/part': 'ours-api' } } };
    const gateways = { namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'gateways' } } };
    const rulesOf = (part: string) =>
      z
        .object({ ingress: z.array(z.unknown()) })
        .loose()
        .parse(named(objects, 'NetworkPolicy', `ours-${part}`)['spec']).ingress;
    expect(rulesOf('worker')).toEqual([
      { from: [api], ports: [{ port: WORKER_PORT }] },
      { from: [], ports: [{ port: 3003 }] },
    ]);
    expect(rulesOf('relay')).toEqual([
      { from: [gateways], ports: [{ port: RELAY_PORT }] },
      { from: [], ports: [{ port: 3004 }] },
    ]);
  });

  test('has every Pod without root, without rights and with a system that cannot be written, and asks each part whether it is ready', async () => {
    const objects = await renderChart(VALUES);
    for (const part of PARTS) {
      const { spec } = podOf(objects, part);
      expect([part, spec.securityContext]).toEqual([part, expect.objectContaining({ runAsNonRoot: true, runAsUser: 1_000 })]);
      expect(spec.containers[0].securityContext).toEqual({
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ['ALL'] },
      });
    }
    const asked = ['api', 'worker', 'relay'].map((part) => {
      const [{ readinessProbe, ports }] = podOf(objects, part).spec.containers;
      const port = ports.find(({ name }) => name === readinessProbe?.httpGet.port)?.containerPort;
      return [part, readinessProbe?.httpGet.path, port];
    });
    expect(asked).toEqual([
      ['api', '/readyz', 3_000],
      ['worker', '/readyz', 3_003],
      ['relay', '/readyz', 3_001],
    ]);
  });
});
