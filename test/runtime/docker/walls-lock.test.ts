import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import type { Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Transform } from 'node:stream';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Engine } from '../../../runtime/docker/engine.ts';
import { imageName } from '../../../runtime/docker/image.ts';
import { ensureWalls } from '../../../runtime/docker/walls.ts';
import { docker, ENGINE_SOCKET, openDocker, RELAY_HOST } from '../../support/docker-under-test.ts';
import type { DockerUnderTest } from '../../support/docker-under-test.ts';

const DEADLINE_MS = 180_000;
const LOCK_FILE = '/run/xtables.lock';
/** As long as that one, so that the lengths of messages stay what they are. */
const NO_FILE = '/run/no-such.lock';

let installation: DockerUnderTest;
let directory: string;
let lockless: Server;

beforeAll(async () => {
  installation = await openDocker({});
  // Where nobody has used the older kind of iptables yet.
  const touch = ['--entrypoint', 'touch', await imageName(), `/host${LOCK_FILE}`];
  await docker('run', '--rm', '--user', '0:0', '--volume', '/run:/host/run', ...touch);
  directory = await mkdtemp(join(tmpdir(), 'walls-lock-'));
  // The engine of a machine that has no lock file.
  lockless = createServer({ allowHalfOpen: true }, (client) => {
    const upstream = connect({ path: ENGINE_SOCKET, allowHalfOpen: true });
    for (const socket of [client, upstream]) socket.on('error', () => {});
    client.pipe(replacing(LOCK_FILE, NO_FILE)).pipe(upstream);
    upstream.pipe(replacing(NO_FILE, LOCK_FILE)).pipe(client);
  }).listen(join(directory, 'docker.sock'));
  await once(lockless, 'listening');
}, DEADLINE_MS);
afterAll(async () => {
  lockless.close();
  await installation.close();
  await rm(directory, { recursive: true });
}, DEADLINE_MS);

function replacing(from: string, to: string): Transform {
  return new Transform({
    transform: (chunk: Buffer, _, done) => done(null, Buffer.from(chunk.toString('latin1').replaceAll(from, to), 'latin1')),
  });
}

async function raise(engine: Engine): Promise<void> {
  const relay = { host: RELAY_HOST, port: 9 };
  const limits = { egress: 'open', resolvers: [], connections: { open: 9, perSecond: 9 }, mail: false } as const;
  await ensureWalls(engine, installation.names, { image: await imageName(), relay, ...limits });
}

const mounts = () => docker('inspect', '--format', '{{range .Mounts}}{{.Source}} {{.RW}}{{end}}', installation.names.walls);

describe('the walls', () => {
  test(
    "see of the host's /run the lock file of the firewall alone, and cannot write it",
    async () => {
      await raise(installation.engine);
      expect((await mounts()).trim()).toBe(`${LOCK_FILE} false`);
      expect((await docker('exec', installation.names.walls, 'ls', '-A', '/host/run')).trim()).toBe('xtables.lock');
    },
    DEADLINE_MS,
  );

  test(
    'stand where the machine has no such file, and are not made again and again',
    async () => {
      const { walls } = installation.names;
      const engine = new Engine(join(directory, 'docker.sock'));
      await docker('rm', '--force', walls);
      await raise(engine);
      expect((await mounts()).trim()).toBe('');
      const id = () => docker('inspect', '--format', '{{.Id}}', walls);
      const before = await id();
      await raise(engine);
      expect(await id()).toBe(before);
    },
    DEADLINE_MS,
  );
});
