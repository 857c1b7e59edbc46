import { execFile } from 'node:child_process';
import { mkdtemp, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import type { RuntimeDriver } from '../../../runtime/driver.ts';
import { EngineAwayError } from '../../../runtime/docker/engine.ts';
import { StorageError } from '../../../runtime/host/storage-error.ts';
import { campaignRounds, createDice } from '../../support/campaign.ts';
import { docker, hasOwnEngine, openDocker, ownEngine, remnants, TEST_MS, WAIT_MS } from '../../support/docker-under-test.ts';
import { eventually } from '../../support/eventually.ts';
import { cutAfter } from './cut-socket.ts';
import { standInImage } from './stand-in-images.ts';
import { openStandIns, specOf } from './stand-ins-under-test.ts';
import type { StandInsUnderTest } from './stand-ins-under-test.ts';
import { removeFolder } from '../../support/remove-folder.ts';

const run = promisify(execFile);
/** More calls than any change makes. */
const MOST_CALLS = 35;
const DISK_MB = 256;
const ID = 'faulty';

jest.setTimeout(TEST_MS + campaignRounds() * 120_000);

const onOurEngine = hasOwnEngine ? describe : describe.skip;

describe('what somebody does to the engine’s things by hand is mended by the next start', () => {
  let instances: StandInsUnderTest;
  let driver: RuntimeDriver;
  const id = ID;
  const keep = () => driver.putFiles(id, 'workspaces/alpha', new Map([['KEPT.md', Buffer.from('kept')]]), instances.call());
  const kept = () => instances.runInside(id, 'cat workspaces/alpha/KEPT.md');

  beforeAll(async () => {
    instances = await openStandIns();
    ({ driver } = instances);
    await driver.ensureRunning(specOf(driver, id), instances.call());
  });

  afterAll(() => instances.close());

  test('its container is removed', async () => {
    await keep();
    await docker('rm', '--force', instances.names.of(id));
    expect(await driver.inspect(id)).toMatchObject({ status: 'exited' });
    expect(await driver.exitOf(id)).toBeNull();
    await driver.ensureRunning(specOf(driver, id), instances.call());
    expect(await kept()).toBe('kept');
  });

  test('its network is removed', async () => {
    const name = instances.names.of(id);
    await docker('network', 'disconnect', '--force', name, name);
    await docker('network', 'rm', name);
    // Whoever watches it notes the silence, and the next start begins with a stop.
    await driver.stop(id, { graceMs: 0 }, instances.call());
    await driver.ensureRunning(specOf(driver, id), instances.call());
    expect(await driver.endpoint(id)).toMatchObject({ peer: 'remote' });
    expect(await kept()).toBe('kept');
  });

  test('its volume is removed', async () => {
    await docker('rm', '--force', instances.names.of(id));
    await docker('volume', 'rm', instances.names.of(id));
    await driver.ensureRunning(specOf(driver, id), instances.call());
    const uid = (await instances.runInside(id, 'id -u')).trim();
    expect(await instances.runInside(id, 'ls -d home skills && touch home/x && stat -c %u . home')).toBe(
      `home\nskills\n${uid}\n${uid}\n`,
    );
  });

  test('something else bears its names', async () => {
    const name = instances.names.of(id);
    await driver.destroy(id, instances.call());
    await docker('create', '--name', name, await imageOf(instances), 'true');
    await docker('network', 'create', name);
    await driver.ensureRunning(specOf(driver, id), instances.call());
    expect(await driver.inspect(id)).toMatchObject({ status: 'running' });
    expect((await docker('network', 'ls', '--filter', `name=${name}`, '--quiet')).trim().split('\n')).toHaveLength(1);
  });

  test('a destroy leaves no container, volume or network', async () => {
    await driver.destroy(id, instances.call());
    expect(await remnants(instances.names)).toEqual([]);
    expect(await driver.list()).toEqual([]);
  });
});

describe('a worker that is killed between two calls of the engine', () => {
  test.each([
    ['volumes', {}],
    ['disks', { INSTANCE_DISK_MB: DISK_MB }],
  ])('is followed by one that converges, and nothing is left over, with %s', async (_, settings) => {
    const dice = createDice('docker driver kills');
    const under = await openDocker({ ...settings, INSTANCE_IMAGE: await standInImage() });
    let epoch = 0;
    const call = () => ({ epoch: (epoch += 1), signal: AbortSignal.timeout(WAIT_MS) });
    try {
      for (let round = 1; round <= campaignRounds(); round += 1) {
        for (const change of ['ensureRunning', 'stop', 'destroy'] as const) {
          // The first asks whether the engine is there.
          const socket = await cutAfter(2 + dice.below(MOST_CALLS), under.settings.DOCKER_SOCKET);
          const doomed = under.openDriver({ DOCKER_SOCKET: socket.path });
          await carryOut(doomed, change, call()).catch((error: unknown) => {
            if (!(error instanceof EngineAwayError)) throw error;
          });
          await socket.close();
          const next = under.openDriver();
          await carryOut(next, change, call());
          const expected = { ensureRunning: 'running', stop: 'exited', destroy: 'absent' }[change];
          expect(await next.inspect(ID)).toMatchObject({ status: expected });
        }
        expect(await remnants(under.names)).toEqual([]);
        await expect(stat(under.names.diskOf(ID))).rejects.toThrow('ENOENT');
      }
    } finally {
      await under.close();
    }
  });
});

describe('a full disk', () => {
  test('under what is ours refuses a create in words, leaves nothing on the engine, and passes', async () => {
    const dataDir = await mkdtemp(join(tmpdir(), 'full-disk-'));
    await run('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', dataDir]);
    const under = await openDocker({ DATA_DIR: dataDir, INSTANCE_IMAGE: await standInImage() });
    try {
      const call = { epoch: 1, signal: AbortSignal.timeout(WAIT_MS) };
      const large = { runtimeId: ID, renderConfig: () => 'x'.repeat(100_000) };
      await expect(under.openDriver().ensureRunning(large, call)).rejects.toThrow(StorageError);
      expect(await remnants(under.names)).toEqual([]);
      await under.openDriver().ensureRunning(specOf(under.openDriver(), ID), call);
      expect(await under.openDriver().inspect(ID)).toMatchObject({ status: 'running' });
    } finally {
      await under.close();
      await run('umount', [dataDir]);
      await removeFolder(dataDir);
    }
  });
});

onOurEngine('an engine that is killed', () => {
  test('says so while it is away, changes wait for it, and its instances go on and are met again', async () => {
    const instances = await openStandIns();
    const id = 'survivor';
    try {
      await instances.start(id);
      const before = await instances.driver.inspect(id);
      await ownEngine('crash');
      await expect(instances.driver.inspect(id)).rejects.toThrow(EngineAwayError);
      const written = instances.driver.writeConfig(specOf(instances.driver, id), instances.call());
      await ownEngine('start');
      await written;
      expect(await instances.driver.inspect(id)).toEqual(before);
      await eventually(() => instances.work(id), WAIT_MS);
      await instances.driver.stop(id, { graceMs: 30_000 }, instances.call());
      expect(await instances.driver.exitOf(id)).toMatchObject({ code: 0 });
    } finally {
      await instances.close();
    }
  });
});

async function carryOut(
  driver: RuntimeDriver,
  change: 'ensureRunning' | 'stop' | 'destroy',
  call: { epoch: number; signal: AbortSignal },
): Promise<void> {
  if (change === 'ensureRunning') await driver.ensureRunning(specOf(driver, ID), call);
  else if (change === 'stop') await driver.stop(ID, { graceMs: 500 }, call);
  else await driver.destroy(ID, call);
}

async function imageOf({ names }: StandInsUnderTest): Promise<string> {
  return (await docker('inspect', '--format', '{{.Config.Image}}', names.walls)).trim();
}
