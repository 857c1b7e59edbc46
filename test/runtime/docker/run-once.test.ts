import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import type { Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { Engine } from '../../../runtime/docker/engine.ts';
import { imageName } from '../../../runtime/docker/image.ts';
import { runOnce } from '../../../runtime/docker/run-once.ts';
import { docker, ENGINE_SOCKET, TEST_MS } from '../../support/docker-under-test.ts';

const NAME = 'thermidora-run-once-under-test';

jest.setTimeout(TEST_MS);

let directory: string;
let engine: Engine;
let proxy: Server;
/** Called before a container's start goes on to the engine. */
let beforeStart = (): void => {};

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'run-once-'));
  proxy = createServer({ allowHalfOpen: true }, (client) => {
    const upstream = connect({ path: ENGINE_SOCKET, allowHalfOpen: true });
    for (const socket of [client, upstream]) socket.on('error', () => {});
    client.on('data', (bytes) => {
      if (/^POST \S+\/start /.test(bytes.toString())) beforeStart();
      upstream.write(bytes);
    });
    client.once('end', () => upstream.end());
    upstream.pipe(client);
  }).listen(join(directory, 'docker.sock'));
  await once(proxy, 'listening');
  engine = new Engine(join(directory, 'docker.sock'));
});

afterAll(async () => {
  proxy.close();
  await rm(directory, { recursive: true, force: true });
});

test('a container that is being started when its caller gives up does its work to the end, and is removed then', async () => {
  const given = new AbortController();
  beforeStart = () => given.abort(new Error('given up'));
  const body = {
    Image: await imageName(),
    User: '0:0',
    Entrypoint: ['/bin/sh', '-c', 'sleep 3; echo done >/out/done; echo said'],
    HostConfig: { NetworkMode: 'none', Mounts: [{ Type: 'bind', Source: directory, Target: '/out' }] },
  };
  const { stdout, exitCode } = await runOnce(engine, body, { name: NAME, signal: given.signal });
  expect([given.signal.aborted, stdout.trim(), exitCode]).toEqual([true, 'said', 0]);
  expect(await readdir(directory)).toContain('done');
  expect(await docker('ps', '--all', '--quiet', '--filter', `name=${NAME}`)).toBe('');
  await expect(runOnce(engine, body, { name: NAME, signal: given.signal })).rejects.toThrow('given up');
  expect(await docker('ps', '--all', '--quiet', '--filter', `name=${NAME}`)).toBe('');
});
