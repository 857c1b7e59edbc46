import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { promisify } from 'node:util';
import { z } from 'zod';
import { imageName } from '../../runtime/docker/image.ts';
import type { Cluster } from '../../runtime/kubernetes/cluster.ts';
import { relayKeys } from '../../runtime/openclaw/install/tokens.ts';
import { createApiClient } from './api-client.ts';
import type { ApiClient } from './api-client.ts';
import { helm } from './helm.ts';
import { ADMIN_CONFIG, asAdmin, cluster, MACHINE, removeNamespace, TEST_MS, WAIT_MS } from './kubernetes-under-test.ts';
import { createOwnedDatabase, roleUrlOf } from './owned-database.ts';
import { npmRun } from './npm-run.ts';
import { startOwnTemporal } from './own-temporal.ts';

const KUBECONFIG = { KUBECONFIG: ADMIN_CONFIG };
const service = z.looseObject({ spec: z.looseObject({ clusterIP: z.string() }) });

/** The chart on the cluster of this machine; PostgreSQL and Temporal run on the machine itself, as an operator's own. */
export interface ChartUnderTest {
  release: string;
  operator: ApiClient;
  /** The API, at the address of its Service. */
  url: string;
  /** The namespace of the parts, and that of instances, as an administrator. */
  parts: Cluster;
  gateways: Cluster;
  /** Installs or upgrades it, and waits until all Pods are ready. */
  deploy(values?: object): Promise<void>;
  close(): Promise<void>;
}

/** Builds the image of this state of the sources, brings it to the node and starts PostgreSQL and Temporal. Nothing is installed yet. */
export async function prepareChart(versions: readonly [string, ...string[]]): Promise<ChartUnderTest> {
  const id = randomBytes(4).toString('hex');
  const [release, namespace, instances] = [`chart-${id}`, `control-${id}`, `gateways-${id}`];
  await npmRun('image:app', [versions[0]], { timeoutMs: TEST_MS });
  for (const version of versions.slice(1))
    await promisify(execFile)('docker', ['tag', `thermidora:${versions[0]}`, `thermidora:${version}`]);
  for (const image of [await imageName(), ...versions.map((version) => `thermidora:${version}`)]) await cluster('load', image);

  const database = await createOwnedDatabase();
  const databaseAt = await reachable(Number(database.port));
  const temporal = await startOwnTemporal({ waitMs: WAIT_MS });
  const temporalAt = await reachable(temporal.port);
  const masterKey = { id: 'k1', key: randomBytes(32) };
  const operatorToken = `op_${randomBytes(32).toString('hex')}`;
  const owner = Object.assign(new URL(database), { hostname: MACHINE, port: String(databaseAt.port) });
  const secrets = {
    'database-url': owner.toString(),
    'database-url-api': roleUrlOf(owner, 'api'),
    'database-url-worker': roleUrlOf(owner, 'worker'),
    'database-url-relay': roleUrlOf(owner, 'relay'),
    'master-keys': keyText(masterKey),
    'relay-keys': relayKeys([masterKey]).map(keyText).join(','),
    'operator-token': operatorToken,
  };
  const values = {
    secrets,
    temporal: { address: `${MACHINE}:${temporalAt.port}` },
    instances: { namespace: instances, image: await imageName() },
    image: { tag: versions[0], pullPolicy: 'Never' },
    settings: { INSTANCE_DISK_MB: 512, KUBERNETES_REQUEST_MEMORY_MB: 256, POOL_SIZE: 0 },
    api: { replicas: 1 },
    worker: { replicas: 2 },
    relay: { replicas: 1 },
  };
  const adminOf = (name: string) => asAdmin(name, id);
  const parts = adminOf(namespace);
  const address = { url: '' };
  return {
    release,
    parts,
    gateways: adminOf(instances),
    get url() {
      return address.url;
    },
    get operator() {
      return createApiClient(address.url, { authorization: `Bearer ${operatorToken}` });
    },
    async deploy(changes = {}) {
      const words = ['upgrade', release, 'deploy/chart', '--install', '--namespace', namespace, '--create-namespace'];
      await helm([...words, '--wait', '--timeout', `${WAIT_MS / 1_000}s`], { ...values, ...changes }, KUBECONFIG);
      const path = `/api/v1/namespaces/${namespace}/services/${release}-api`;
      address.url = `http://${service.parse(await parts.api.call('GET', path)).spec.clusterIP}`;
    },
    async close() {
      await uninstall(release, namespace).catch(() => undefined);
      for (const name of [instances, namespace]) await removeNamespace(adminOf(name)).catch(() => undefined);
      await temporal.end();
      databaseAt.close();
      temporalAt.close();
    },
  };
}

function uninstall(release: string, namespace: string): Promise<string> {
  return helm(['uninstall', release, '--namespace', namespace, '--wait'], null, KUBECONFIG);
}

const keyText = ({ id, key }: { id: string; key: Uint8Array }): string => `${id}:${Buffer.from(key).toString('base64')}`;

/** What listens on the loopback address, at a port by which Pods reach it too. */
async function reachable(port: number): Promise<{ port: number; close(): void }> {
  const server = createServer((incoming) => {
    const onward = connect(port, '127.0.0.1');
    incoming.on('error', () => onward.destroy()).pipe(onward);
    onward.on('error', () => incoming.destroy()).pipe(incoming);
  }).listen(0, MACHINE);
  await once(server, 'listening');
  server.unref();
  return { port: (server.address() as AddressInfo).port, close: () => void server.close() };
}
