import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo, Server } from 'node:net';
import { networkInterfaces } from 'node:os';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { ensureWalls } from '../../../runtime/docker/walls.ts';
import { IMAGE_PROGRAMS } from '../../../runtime/docker/image-programs.ts';
import { imageName } from '../../../runtime/docker/image.ts';
import { docker, RELAY_HOST } from '../../support/docker-under-test.ts';
import { openInstances, START_MS } from './instances-under-test.ts';
import type { InstancesUnderTest } from './instances-under-test.ts';
import { openOutsideWorld, OUTSIDE, OUTSIDE_PORT } from './outside-world.ts';

describe('from inside an instance, by the exec of its agent', () => {
  const [inside, other] = ['inside', 'other'];
  let instances: InstancesUnderTest;
  let closeOutside: () => Promise<void>;
  /** Stands for everything of the control plane that listens, and more openly than any of it does. */
  let controlPlane: Server;

  beforeAll(async () => {
    closeOutside = await openOutsideWorld();
    controlPlane = createServer((socket) => socket.end('here')).listen(0, '0.0.0.0');
    await once(controlPlane, 'listening');
    instances = await openInstances();
    await Promise.all([instances.start(inside), instances.start(other)]);
  }, 2 * START_MS);

  afterAll(async () => {
    await instances.close();
    controlPlane.close();
    await closeOutside();
  }, START_MS);

  test(
    'the relay is reached, and the public internet where egress is open',
    async () => {
      const relayPort = instances.settings.RELAY_PORT;
      expect(
        await reached([
          [RELAY_HOST, relayPort],
          [OUTSIDE.public, OUTSIDE_PORT],
        ]),
      ).toEqual([`${RELAY_HOST}:${relayPort}`, `${OUTSIDE.public}:${OUTSIDE_PORT}`]);
    },
    START_MS,
  );

  test(
    'nothing of this machine is reached on any of its addresses, nor its loopback',
    async () => {
      const { port } = controlPlane.address() as AddressInfo;
      const addresses = Object.values(networkInterfaces())
        .flatMap((entries) => entries ?? [])
        .filter(({ family }) => family === 'IPv4')
        .map(({ address }) => address);
      // The interfaces of both instances among them; the engine's own bridge is down while nothing is on it.
      expect(addresses.length).toBeGreaterThan(3);
      addresses.push(RELAY_HOST);
      expect(await reached(addresses.map((address) => [address, port]))).toEqual([]);
    },
    START_MS,
  );

  test(
    'another instance is reached neither at its own address nor where it is published',
    async () => {
      const published = new URL((await instances.driver.endpoint(other))!.httpUrl);
      const format = '{{range .NetworkSettings.Networks}}{{.IPAddress}} {{.Gateway}}{{end}}';
      const own = (await docker('inspect', '--format', format, instances.names.of(other))).trim().split(' ');
      const [address = '', gateway = ''] = own;
      const port = Number(published.port);
      expect(
        await reached([
          [address, 18_789],
          [gateway, port],
          [RELAY_HOST, port],
          ['127.0.0.1', port],
        ]),
      ).toEqual([]);
      expect(await instances.ask(other, '[[SAY I am here.]]')).toBe('I am here.');
    },
    START_MS,
  );

  test(
    'private networks and the metadata address are not reached',
    async () => {
      expect(
        await reached([
          [OUTSIDE.private, OUTSIDE_PORT],
          [OUTSIDE.metadata, OUTSIDE_PORT],
          [OUTSIDE.metadata, 80],
        ]),
      ).toEqual([]);
    },
    START_MS,
  );

  test(
    'there is no Docker socket, no capability, nothing to write to but its own state, and no secret to inspect',
    async () => {
      const script = [
        'ls /var/run/docker.sock /run/docker.sock 2>&1 | grep -c "No such"',
        'grep -E "CapEff|CapBnd|NoNewPrivs" /proc/self/status | tr -d "\\t "',
        'touch /etc/openclaw/x /opt/x /etc/x 2>&1 | grep -c Read-only',
        'id -u',
        'hostname',
      ].join('; ');
      const said = await instances.exec(inside, script);
      expect(said).toMatch(/The tool said: 2\s/);
      for (const line of [
        'CapEff:0000000000000000',
        'CapBnd:0000000000000000',
        'NoNewPrivs:1',
        '3\n1000\n',
        instances.names.of(inside),
      ])
        expect(said).toContain(line);
      const inspected = await docker('inspect', instances.names.of(inside));
      expect(inspected).not.toMatch(/gateway-token-of|relay-token/);
      expect(JSON.parse(inspected)).toMatchObject([
        {
          Config: { User: '1000:1000' },
          HostConfig: {
            CapDrop: ['ALL'],
            Memory: 1536 * 1024 ** 2,
            MemorySwap: 1536 * 1024 ** 2,
            NanoCpus: 2e9,
            PidsLimit: 512,
            Privileged: false,
            ReadonlyRootfs: true,
            SecurityOpt: ['no-new-privileges:true'],
          },
        },
      ]);
    },
    START_MS,
  );

  test('every program is there that the catalogue of skills counts on', async () => {
    const missing = await instances.runInside(
      inside,
      `for p in ${[...IMAGE_PROGRAMS].join(' ')}; do command -v $p >/dev/null || echo $p; done`,
    );
    expect(missing).toBe('');
  });

  test(
    'with relay-only egress it is the relay and nothing else',
    async () => {
      const { engine, names, settings } = instances;
      const relay = { host: RELAY_HOST, port: settings.RELAY_PORT };
      await ensureWalls(engine, names, { image: await imageName(), relay, egress: 'relay-only', resolvers: [] });
      expect(
        await reached([
          [RELAY_HOST, settings.RELAY_PORT],
          [OUTSIDE.public, OUTSIDE_PORT],
        ]),
      ).toEqual([`${RELAY_HOST}:${settings.RELAY_PORT}`]);
    },
    START_MS,
  );

  /** Which of these an agent opens a connection to. */
  async function reached(targets: readonly (readonly [host: string, port: number])[]): Promise<string[]> {
    const list = targets.map(([host, port]) => `${host}/${port}`).join(' ');
    const probe = `for t in ${list}; do timeout 4 bash -c "echo >/dev/tcp/$t" 2>/dev/null && echo "open $t"; done; echo probed`;
    const said = await instances.exec(inside, probe);
    expect(said).toContain('probed');
    return [...said.matchAll(/open (\S+)\/(\d+)/g)].map(([, host, port]) => `${host}:${port}`);
  }
});
