import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo, Server } from 'node:net';
import { networkInterfaces } from 'node:os';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { z } from 'zod';
import { ensureWalls } from '../../../runtime/docker/walls.ts';
import type { WallsOptions } from '../../../runtime/docker/walls.ts';
import { IMAGE_PROGRAMS } from '../../../runtime/docker/image-programs.ts';
import { imageName } from '../../../runtime/docker/image.ts';
import { docker, RELAY_HOST, TEST_MS } from '../../support/docker-under-test.ts';
import { CONNECT_MANY, SEND_MANY } from './connection-floods.ts';
import { MAIL_PORTS, openOutsideWorld, OUTSIDE, OUTSIDE_PORT } from './outside-world.ts';
import { openStandIns } from './stand-ins-under-test.ts';
import type { StandInsUnderTest } from './stand-ins-under-test.ts';

/** What a connection gets that is neither taken nor refused. */
const TRY_SECONDS = 20;
const connectCount = z.object({ open: z.number(), refused: z.number() });
const floodCount = z.object({ answered: z.number(), seconds: z.number() });

jest.setTimeout(TEST_MS);

describe('from inside an instance, by what its program runs', () => {
  const [inside, other] = ['inside', 'other'];
  let instances: StandInsUnderTest;
  let closeOutside: () => Promise<void>;
  /** Stands for everything of the control plane that listens, and more openly than any of it does. */
  let controlPlane: Server;
  let relay: Server;

  beforeAll(async () => {
    closeOutside = await openOutsideWorld();
    controlPlane = await listen('0.0.0.0');
    relay = await listen(RELAY_HOST);
    instances = await openStandIns({ RELAY_PORT: portOf(relay) });
    await Promise.all([instances.start(inside), instances.start(other)]);
  });

  afterAll(async () => {
    await instances.close();
    for (const server of [controlPlane, relay]) server.close();
    await closeOutside();
  });

  test('the relay is reached, and the public internet where egress is open', async () => {
    const relayPort = portOf(relay);
    expect(
      await reached([
        [RELAY_HOST, relayPort],
        [OUTSIDE.public, OUTSIDE_PORT],
      ]),
    ).toEqual([`${RELAY_HOST}:${relayPort}`, `${OUTSIDE.public}:${OUTSIDE_PORT}`]);
  });

  test('nothing of this machine is reached on any of its addresses, nor its loopback', async () => {
    const port = portOf(controlPlane);
    const addresses = Object.values(networkInterfaces())
      .flatMap((entries) => entries ?? [])
      .filter(({ family }) => family === 'IPv4')
      .map(({ address }) => address);
    // The interfaces of both instances among them; the engine's own bridge is down while nothing is on it.
    expect(addresses.length).toBeGreaterThan(3);
    addresses.push(RELAY_HOST);
    expect(await reached(addresses.map((address) => [address, port]))).toEqual([]);
  });

  test('another instance is reached neither at its own address nor where it is published', async () => {
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
    await instances.work(other);
  });

  test('private networks and the metadata address are not reached', async () => {
    expect(
      await reached([
        [OUTSIDE.private, OUTSIDE_PORT],
        [OUTSIDE.metadata, OUTSIDE_PORT],
        [OUTSIDE.metadata, 80],
      ]),
    ).toEqual([]);
  });

  test('there is no Docker socket, no capability, nothing to write to but its own state, and no secret to inspect', async () => {
    const script = [
      'ls /var/run/docker.sock /run/docker.sock 2>&1 | grep -c "No such"',
      'grep -E "CapEff|CapBnd|NoNewPrivs" /proc/self/status | tr -d "\\t "',
      'touch /etc/openclaw/x /opt/x /etc/x 2>&1 | grep -c Read-only',
      'id -u',
      'hostname',
    ].join('; ');
    const said = await instances.exec(inside, script);
    expect(said).toMatch(/^2\s/);
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
  });

  test('every program is there that the catalogue of skills counts on', async () => {
    const missing = await instances.runInside(
      inside,
      `for p in ${[...IMAGE_PROGRAMS].join(' ')}; do command -v $p >/dev/null || echo $p; done`,
    );
    expect(missing).toBe('');
  });

  test('the ports of mail servers are reached only where a setting opens them', async () => {
    const ports = MAIL_PORTS.map((port) => [OUTSIDE.public, port] as const);
    expect(await reached(ports)).toEqual([]);
    await raiseWalls({ mail: true });
    expect(await reached(ports)).toEqual(ports.map(([host, port]) => `${host}:${port}`));
  });

  test('an instance has no more connections open than it may, and another one is not kept from opening its own', async () => {
    await raiseWalls({ connections: { open: 32, perSecond: 50 } });
    const [one, another] = await Promise.all([connectMany(inside, 100), connectMany(other, 10)]);
    expect(one.open).toBeLessThanOrEqual(32);
    // Some of those before may still count.
    expect(one.open).toBeGreaterThan(16);
    expect(one.refused).toBe(100 - one.open);
    expect(another).toEqual({ open: 10, refused: 0 });
  });

  test('an instance opens no more connections in a second than it may, datagrams to new places included', async () => {
    await raiseWalls({ connections: { open: 10_000, perSecond: 5 } });
    const { answered, seconds } = floodCount.parse(
      JSON.parse(await instances.runInside(inside, `node -e '${SEND_MANY}' ${OUTSIDE.public} ${OUTSIDE_PORT} 2000`)),
    );
    expect(answered).toBeGreaterThan(0);
    // Four seconds of it at once, and one more while the clock is read.
    expect(answered).toBeLessThanOrEqual(5 * (4 + Math.ceil(seconds) + 1));
    expect(answered).toBeLessThan(2_000);
  });

  async function connectMany(runtimeId: string, count: number): Promise<z.infer<typeof connectCount>> {
    const script = `node -e '${CONNECT_MANY}' ${OUTSIDE.public} ${OUTSIDE_PORT} ${count}`;
    return connectCount.parse(JSON.parse(await instances.runInside(runtimeId, script)));
  }

  test('with relay-only egress it is the relay and nothing else', async () => {
    await raiseWalls({ egress: 'relay-only' });
    expect(
      await reached([
        [RELAY_HOST, portOf(relay)],
        [OUTSIDE.public, OUTSIDE_PORT],
      ]),
    ).toEqual([`${RELAY_HOST}:${portOf(relay)}`]);
  });

  /** The walls of the test with other settings. */
  async function raiseWalls(changes: Partial<WallsOptions>): Promise<void> {
    const { engine, names, settings } = instances;
    const connections = { open: settings.INSTANCE_CONNECTIONS, perSecond: settings.INSTANCE_CONNECTIONS_PER_SECOND };
    await ensureWalls(engine, names, {
      image: await imageName(),
      relay: { host: RELAY_HOST, port: settings.RELAY_PORT },
      egress: 'open',
      resolvers: [],
      connections,
      mail: false,
      ...changes,
    });
  }

  /** Which of these it opens a connection to: all are tried at once, because a wall may let one wait. */
  async function reached(targets: readonly (readonly [host: string, port: number])[]): Promise<string[]> {
    const tries = targets.map(
      ([host, port]) =>
        `(timeout ${TRY_SECONDS} bash -c "echo >/dev/tcp/${host}/${port}" && echo "open ${host}:${port}") 2>/dev/null &`,
    );
    const said = await instances.exec(inside, `${tries.join('\n')}\nwait; echo probed`);
    expect(said).toContain('probed');
    const open = new Set([...said.matchAll(/open (\S+)/g)].map(([, target]) => target));
    return targets.map(([host, port]) => `${host}:${port}`).filter((target) => open.has(target));
  }
});

async function listen(host: string): Promise<Server> {
  const server = createServer((socket) => socket.on('error', () => {}).end('here')).listen(0, host);
  await once(server, 'listening');
  return server;
}

function portOf(server: Server): number {
  return (server.address() as AddressInfo).port;
}
