import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { parse, parseAllDocuments } from 'yaml';
import { z } from 'zod';
import { settingsSchema } from '../../lib/settings/config.ts';
import { createDriver } from '../../runtime/create-driver.ts';
import type { DriverSettings } from '../../runtime/create-driver.ts';
import { STATE_DIR } from '../../runtime/docker/in-container.ts';
import { imageName } from '../../runtime/docker/image.ts';
import type { RuntimeDriver } from '../../runtime/driver.ts';
import type { Cluster } from '../../runtime/kubernetes/cluster.ts';
import { runProgram } from '../../runtime/kubernetes/exec.ts';
import { pathOf } from '../../runtime/kubernetes/names.ts';
import { clusterOf } from '../../runtime/kubernetes/open-kubernetes.ts';
import { removeFolder } from './remove-folder.ts';

const ROOT = join(import.meta.dirname, '../..');
const SCRIPT = join(ROOT, 'scripts/kubernetes-cluster.sh');
export const ADMIN_CONFIG = '/var/lib/thermidora-kubernetes/admin.kubeconfig';

/** A machine without a cluster leaves out what needs one (test/support/prepare-tests.ts); `scripts/kubernetes-cluster.sh start` brings one up. */
export const hasCluster = existsSync(ADMIN_CONFIG);

/** The machine, as the Pods of the cluster's first node see it. */
export const MACHINE = '10.200.0.1';

/** What one wait for the cluster gets. Only a test that fails takes so long. */
export const WAIT_MS = 240_000;
/** The limit of a test and of a hook, which is above all their waits, so that what was waited for is said. */
export const TEST_MS = 900_000;

type Settings = DriverSettings & { RUNTIME: 'kubernetes' };

/** One installation on the real cluster, in a namespace of its own, which nothing is left of afterwards. */
export interface KubernetesUnderTest {
  /** As an administrator. The drivers have the rights of deploy/kubernetes alone. */
  admin: Cluster;
  settings: Settings;
  openDriver(changes?: Partial<Omit<Settings, 'RUNTIME'>>): RuntimeDriver;
  /** Runs a script in the Pod of a runtime, as its agents would. */
  runInside(runtimeId: string, script: string): Promise<string>;
  /** An object as it is now; null when there is none. */
  find(kind: Parameters<typeof pathOf>[1], name: string): Promise<unknown>;
  /** Changes or deletes an object, as somebody does by hand. */
  patch(kind: Parameters<typeof pathOf>[1], name: string, body: object): Promise<unknown>;
  remove(kind: Parameters<typeof pathOf>[1], name: string, body?: object): Promise<unknown>;
  close(): Promise<void>;
}

const podList = z.looseObject({ items: z.array(z.looseObject({ metadata: z.looseObject({ name: z.string() }) })) });
const tokenAnswer = z.looseObject({ status: z.looseObject({ token: z.string() }) });

export async function openKubernetes(changes: Partial<Omit<Settings, 'RUNTIME'>> = {}): Promise<KubernetesUnderTest> {
  const dataDir = await mkdtemp(join(tmpdir(), 'kubernetes-driver-'));
  const namespace = `test-${randomUUID().slice(0, 8)}`;
  const image = changes.INSTANCE_IMAGE ?? (await imageName());
  await cluster('load', image);
  const defaults = settingsSchema.omit({ DATABASE_URL: true, MASTER_KEYS: true, SMTP_URL: true, TEMPORAL_ADDRESS: true }).parse({
    INSTANCE_IMAGE: image,
    INSTANCE_DISK_MB: '512',
    KUBERNETES_CONTROL_PLANE: MACHINE,
    KUBERNETES_REQUEST_MEMORY_MB: '256',
  });
  const settings: Settings = {
    ...defaults,
    DATA_DIR: dataDir,
    RELAY_HOST: MACHINE,
    RELAY_PORT: 9,
    KUBERNETES_CONFIG: join(dataDir, 'kubeconfig'),
    KUBERNETES_NAMESPACE: namespace,
    ...changes,
    RUNTIME: 'kubernetes',
  };
  const admin = asAdmin(namespace, dataDir);
  await install(admin, settings);
  return {
    admin,
    settings,
    openDriver: (more = {}) => createDriver({ ...settings, ...more, RUNTIME: 'kubernetes' }, null),
    runInside: (runtimeId, script) => runIn(admin, runtimeId, script),
    find: (kind, name) => admin.api.find(pathOf(namespace, kind, name)),
    patch: (kind, name, body) =>
      admin.api.call('PATCH', pathOf(namespace, kind, name), { body, type: 'application/merge-patch+json' }),
    remove: (kind, name, body = {}) => admin.api.call('DELETE', pathOf(namespace, kind, name), { body }),
    async close() {
      await removeNamespace(admin);
      await removeFolder(dataDir);
    },
  };
}

/** A namespace of the cluster, as an administrator. */
export function asAdmin(namespace: string, installationId: string): Cluster {
  const { KUBERNETES_SERVICE_HOST, KUBERNETES_SERVICE_PORT } = settingsSchema
    .pick({ KUBERNETES_SERVICE_HOST: true, KUBERNETES_SERVICE_PORT: true })
    .parse({});
  const place = { KUBERNETES_CONFIG: ADMIN_CONFIG, KUBERNETES_NAMESPACE: namespace };
  return clusterOf({ ...place, KUBERNETES_SERVICE_HOST, KUBERNETES_SERVICE_PORT }, installationId);
}

/** What deploy/kubernetes makes, in this namespace, and a kubeconfig with the token of its ServiceAccount. */
async function install({ api, namespace }: Cluster, { KUBERNETES_CONFIG = '' }: Settings): Promise<void> {
  const text = await readFile(join(ROOT, 'deploy/kubernetes/instances.yaml'), 'utf8');
  for (const document of parseAllDocuments(text.replaceAll('thermidora-instances', namespace))) {
    const body = manifest.parse(document.toJS());
    const query = { fieldManager: 'test', force: 'true' };
    await api.call('PATCH', pathOfManifest(body), { body, type: 'application/apply-patch+yaml', query });
  }
  const account = `/api/v1/namespaces/${namespace}/serviceaccounts/thermidora-worker/token`;
  const body = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: { expirationSeconds: 7_200 } };
  const { token } = tokenAnswer.parse(await api.call('POST', account, { body })).status;
  const admin = z.looseObject({ users: z.unknown() }).parse(parse(await readFile(ADMIN_CONFIG, 'utf8')));
  await writeFile(KUBERNETES_CONFIG, JSON.stringify({ ...admin, users: [{ name: 'test', user: { token } }] }), { mode: 0o600 });
}

const manifest = z.looseObject({
  apiVersion: z.string(),
  kind: z.string(),
  metadata: z.looseObject({ name: z.string(), namespace: z.string().optional() }),
});

function pathOfManifest({ apiVersion, kind, metadata }: z.infer<typeof manifest>): string {
  const plural = kind.endsWith('y') ? `${kind.slice(0, -1)}ies` : `${kind}s`;
  const group = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  const place = metadata.namespace === undefined ? '' : `/namespaces/${metadata.namespace}`;
  return `${group}${place}/${plural.toLowerCase()}/${metadata.name}`;
}

async function runIn(admin: Cluster, runtimeId: string, script: string): Promise<string> {
  // A line of its own: with `&&`, a script that ends in `&` would put both into one shell that holds on to the output.
  const command = ['/bin/bash', '-c', `cd ${STATE_DIR} || exit\n${script}`];
  const target = { pod: admin.names.of(runtimeId), container: 'gateway', command };
  const { stdout, stderr } = await runProgram(admin, target, { input: '', signal: AbortSignal.timeout(WAIT_MS) });
  if (/command terminated/.test(stderr)) throw new Error(stderr);
  return stdout;
}

/** Ends its Pods at once, and lets go what the finalizers hold. */
export async function removeNamespace({ api, namespace }: Cluster): Promise<void> {
  const pods = podList.parse(await api.call('GET', pathOf(namespace, 'pods'))).items;
  for (const { metadata } of pods) {
    const path = pathOf(namespace, 'pods', metadata.name);
    await api.call('DELETE', path, { body: { gracePeriodSeconds: 1 } }).catch(() => null);
    const body = { metadata: { finalizers: null } };
    await api.call('PATCH', path, { body, type: 'application/merge-patch+json' }).catch(() => null);
  }
  await api.call('DELETE', `/api/v1/namespaces/${namespace}`);
}

/** Runs scripts/kubernetes-cluster.sh. */
export async function cluster(...words: string[]): Promise<string> {
  return (await promisify(execFile)(SCRIPT, words, { timeout: TEST_MS })).stdout;
}
