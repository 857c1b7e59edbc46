import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo, Server } from 'node:net';
import { networkInterfaces } from 'node:os';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { z } from 'zod';
import { ensureWalls } from '../../../runtime/docker/walls.ts';
import type { WallsOptions } from '../../../runtime/docker/walls.ts';
import { IMAGE_PROGRAMS } from '../../../runtime/docker/image-programs.ts';
import { imageName } from '../../../runtime/docker/image.ts';
import { docker, RELAY_HOST } from '../../support/docker-under-test.ts';
import { openInstances, START_MS } from './instances-under-test.ts';
import type { InstancesUnderTest } from './instances-under-test.ts';
import { CONNECT_MANY, SEND_MANY } from './connection-floods.ts';
import { MAIL_PORTS, openOutsideWorld, OUTSIDE, OUTSIDE_PORT } from './outside-world.ts';

const connectCount = z.object({ open: z.number(), refused: z.number() });
const floodCount = z.object({ answered: z.number(), seconds: z.number() });

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
        // The users of instances begin so.
        '3\n19000',
        instances.names.of(inside),
      ])
        expect(said).toContain(line);
      const inspected = await docker('inspect', instances.names.of(inside));
      expect(inspected).not.toMatch(/gateway-token-of|relay-token/);
      expect(JSON.parse(inspected)).toMatchObject([
        {
          Config: { User: expect.stringMatching(/^19000\d{5}:19000\d{5}$/) },
          HostConfig: {
            CapDrop: ['ALL'],
            Memory: 1536 * 1024 ** 2,
            MemorySwap: 1536 * 1024 ** 2,
            NanoCpus: 2e9,
            OomScoreAdj: 500,
            CpuShares: 256,
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
    'the ports of mail servers are reached only where a setting opens them',
    async () => {
      const ports = MAIL_PORTS.map((port) => [OUTSIDE.public, port] as const);
      expect(await reached(ports)).toEqual([]);
      await raiseWalls({ mail: true });
      expect(await reached(ports)).toEqual(ports.map(([host, port]) => `${host}:${port}`));
    },
    START_MS,
  );

  test(
    'an instance has no more connections open than it may, and another one is not kept from opening its own',
    async () => {
      await raiseWalls({ connections: { open: 32, perSecond: 50 } });
      const [one, another] = await Promise.all([connectMany(inside, 100), connectMany(other, 10)]);
      expect(one.open).toBeLessThanOrEqual(32);
      // Its gateway has some of its own.
      expect(one.open).toBeGreaterThan(16);
      expect(one.refused).toBe(100 - one.open);
      expect(another).toEqual({ open: 10, refused: 0 });
    },
    START_MS,
  );

  test(
    'an instance opens no more connections in a second than it may, datagrams to new places included',
    async () => {
      await raiseWalls({ connections: { open: 10_000, perSecond: 5 } });
      const { answered, seconds } = floodCount.parse(
        JSON.parse(await instances.runInside(inside, `node -e '${SEND_MANY}' ${OUTSIDE.public} ${OUTSIDE_PORT} 2000`)),
      );
      expect(answered).toBeGreaterThan(0);
      // Four seconds of it at once, and one more while the clock is read.
      expect(answered).toBeLessThanOrEqual(5 * (4 + Math.ceil(seconds) + 1));
      expect(answered).toBeLessThan(2_000);
    },
    START_MS,
  );

  async function connectMany(runtimeId: string, count: number): Promise<z.infer<typeof connectCount>> {
    const script = `node -e '${CONNECT_MANY}' ${OUTSIDE.public} ${OUTSIDE_PORT} ${count}`;
    return connectCount.parse(JSON.parse(await instances.runInside(runtimeId, script)));
  }

  test(
    'with relay-only egress it is the relay and nothing else',
    async () => {
      const { settings } = instances;
      await raiseWalls({ egress: 'relay-only' });
      expect(
        await reached([
          [RELAY_HOST, settings.RELAY_PORT],
          [OUTSIDE.public, OUTSIDE_PORT],
        ]),
      ).toEqual([`${RELAY_HOST}:${settings.RELAY_PORT}`]);
    },
    START_MS,
  );

  /** The walls of the test with other settings. */
  async function raiseWalls(changes: Partial<WallsOptions>): Promise<void> {
    const { engine, names, settings } = instances;
    const relay = { host: RELAY_HOST, port: settings.RELAY_PORT };
    const connections = { open: settings.INSTANCE_CONNECTIONS, perSecond: settings.INSTANCE_CONNECTIONS_PER_SECOND };
    const options = { image: await imageName(), relay, egress: 'open', resolvers: [], connections, mail: false } as const;
    await ensureWalls(engine, names, { ...options, ...changes });
  }

  /** Which of these an agent opens a connection to. */
  async function reached(targets: readonly (readonly [host: string, port: number])[]): Promise<string[]> {
    const list = targets.map(([host, port]) => `${host}/${port}`).join(' ');
    const probe = `for t in ${list}; do timeout 4 bash -c "echo >/dev/tcp/$t" 2>/dev/null && echo "open $t"; done; echo probed`;
    const said = await instances.exec(inside, probe);
    expect(said).toContain('probed');
    return [...said.matchAll(/open (\S+)\/(\d+)/g)].map(([, host, port]) => `${host}:${port}`);
  }
});
