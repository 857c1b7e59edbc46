import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { InstanceDiskFullError } from '../../../runtime/driver.ts';
import { hasCluster, MACHINE, TEST_MS } from '../../support/kubernetes-under-test.ts';
import { listenAround, openInstances } from './instances-under-test.ts';
import type { InstancesUnderTest } from './instances-under-test.ts';
import { eventually } from '../../support/eventually.ts';

jest.setTimeout(TEST_MS);

const RELAY_PORT = 18_001;
const OTHER_PORT = 18_002;
const OUTSIDE = { public: '203.0.113.9', private: '10.99.0.9', metadata: '169.254.169.254' };
const KUBELET = '10.200.0.2:10250';
const API_SERVER = `${MACHINE}:6443`;
const SERVICE = '10.202.0.1:443';

(hasCluster ? describe : describe.skip)('an instance on a cluster', () => {
  let instances: InstancesUnderTest;
  let closeWorld: () => Promise<void>;

  beforeAll(async () => {
    closeWorld = await listenAround([
      { host: MACHINE, port: RELAY_PORT },
      { host: MACHINE, port: OTHER_PORT },
      ...Object.values(OUTSIDE).map((host) => ({ host, port: 8_080 })),
      { host: OUTSIDE.public, port: 25 },
    ]);
    instances = await openInstances({ RELAY_PORT });
    await Promise.all(['one', 'two'].map((id) => instances.driver.ensureRunning(instances.spec(id), instances.call())));
  });
  afterAll(async () => {
    await instances?.close();
    await closeWorld?.();
  });

  /** Which of these it connects to. */
  async function reached(places: readonly string[], runtimeId = 'one'): Promise<string[]> {
    const tries = places.map((place) => {
      const [host, port] = place.split(':');
      return `(timeout 3 bash -c '</dev/tcp/${host}/${port}' 2>/dev/null && echo ${place}) &`;
    });
    return (await instances.runInside(runtimeId, `${tries.join(' ')} wait; true`)).split('\n').filter(Boolean).toSorted();
  }

  const addressOf = async (runtimeId: string) => (await instances.driver.endpoint(runtimeId))!.httpUrl.replace('http://', '');

  test('reaches the relay and the internet, and no neighbour, API server, node, private address, metadata or mail server', async () => {
    const relay = `${MACHINE}:${RELAY_PORT}`;
    const internet = `${OUTSIDE.public}:8080`;
    const closed = [
      await addressOf('two'),
      `${MACHINE}:${OTHER_PORT}`,
      API_SERVER,
      SERVICE,
      KUBELET,
      `${OUTSIDE.private}:8080`,
      `${OUTSIDE.metadata}:8080`,
      `${OUTSIDE.public}:25`,
    ];
    // Its neighbour listens, or this would show nothing.
    await eventually(() => connectsTo(closed[0]!));
    expect(await reached([relay, internet, ...closed])).toEqual([relay, internet].toSorted());
  });

  test('has no token of the cluster, no right but its own, and cannot write its system or its configuration', async () => {
    const look =
      'ls /var/run/secrets/kubernetes.io 2>&1; id -u; touch /x 2>&1; touch /etc/openclaw/x 2>&1; grep CapEff /proc/self/status';
    const said = await instances.runInside('one', `${look}; grep NoNewPrivs /proc/self/status; true`);
    expect(said).toMatch(/No such file/);
    expect(said).toMatch(/^19\d{8}$/m);
    expect(said.match(/Read-only file system/g)).toHaveLength(2);
    expect(said).toMatch(/CapEff:\t0+$/m);
    expect(said).toMatch(/NoNewPrivs:\t1$/m);
  });

  test('that fills its disk leaves that of others alone', async () => {
    expect(await instances.runInside('one', 'head -c 2G /dev/zero 2>&1 >big; true')).toMatch(/No space left/);
    const put = (runtimeId: string) =>
      instances.driver.putFiles(runtimeId, 'workspaces/alpha', new Map([['a.md', Buffer.alloc(4_096)]]), instances.call());
    await expect(put('one')).rejects.toThrow(InstanceDiskFullError);
    await put('two');
    await instances.runInside('one', 'rm big');
    await put('one');
  });

  test('that forks without end has its own number of processes', async () => {
    const fork = 'for i in $(seq 700); do sleep 5 & done 2>&1 | head -c 500; wait';
    expect(await instances.runInside('one', `(${fork}) 2>&1; true`).catch(String)).toMatch(
      /fork|Resource temporarily unavailable/i,
    );
    expect(await instances.runInside('two', 'echo lives')).toBe('lives\n');
  });

  test('that takes more memory than it may is killed for it, and no other', async () => {
    const eat = 'node -e "const all = []; for (;;) all.push(Buffer.alloc(32 * 1024 * 1024, 1))"';
    expect(await instances.runInside('one', `${eat} >/dev/null 2>&1; echo $?`)).toBe('137\n');
    expect(await instances.runInside('two', 'echo lives')).toBe('lives\n');
  });

  test('reaches nothing but the relay with EGRESS=relay-only', async () => {
    const driver = instances.openDriver({ EGRESS: 'relay-only' });
    await driver.ensureRunning(instances.spec('one'), instances.call());
    await eventually(async () =>
      expect(await reached([`${MACHINE}:${RELAY_PORT}`, `${OUTSIDE.public}:8080`])).toEqual([`${MACHINE}:${RELAY_PORT}`]),
    );
  });
});

function connectsTo(place: string): Promise<void> {
  const [host, port] = place.split(':');
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), host, () => {
      socket.destroy();
      resolve();
    });
    socket.once('error', reject);
  });
}
