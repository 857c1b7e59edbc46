import { execFile } from 'node:child_process';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { InstanceDiskFullError } from '../../../runtime/driver.ts';
import { StorageError } from '../../../runtime/host/storage-error.ts';
import { docker, hasOwnEngine, ownEngine, remnants, TEST_MS, WAIT_MS } from '../../support/docker-under-test.ts';
import { eventually } from '../../support/eventually.ts';
import { attachedDisks } from './attached-disks.ts';
import { openStandIns, specOf } from './stand-ins-under-test.ts';
import type { StandInsUnderTest } from './stand-ins-under-test.ts';

const run = promisify(execFile);
const DISK_MB = 128;
/** What a gateway needs to start. */
const LEAST_FREE_MB = 8;
const MEBIBYTE = 1024 ** 2;

jest.setTimeout(TEST_MS);

(hasOwnEngine ? describe : describe.skip)('an instance with a disk of its own', () => {
  const [rogue, other] = ['rogue', 'other'];
  const directory = 'workspaces/alpha';
  const keep = (name: string) => new Map([[name, Buffer.from('kept')]]);
  let instances: StandInsUnderTest;

  beforeAll(async () => {
    instances = await openStandIns({ INSTANCE_DISK_MB: DISK_MB });
    await Promise.all([instances.start(rogue), instances.start(other)]);
  });

  afterEach(async () => void (await instances.work(other)));

  afterAll(async () => {
    await ownEngine('start');
    await instances.close();
  });

  test('cannot store more than it has, which is taken from the machine at once; the others go on', async () => {
    const { driver, settings } = instances;
    await driver.putFiles(rogue, directory, keep('BEFORE.md'), instances.call());
    const diskFile = join(settings.DATA_DIR, 'runtimes', rogue, 'disk.img');
    expect((await stat(diskFile)).blocks * 512).toBeGreaterThanOrEqual(DISK_MB * MEBIBYTE);
    expect(await instances.exec(rogue, 'head -c 1G /dev/zero > workspaces/alpha/flood')).toContain('No space left');
    expect(await freeMiB(rogue)).toBeLessThan(LEAST_FREE_MB);
    expect(await freeMiB(other)).toBeGreaterThan(DISK_MB / 2);
    expect((await stat(diskFile)).size).toBe(DISK_MB * MEBIBYTE);
  });

  test('that is full starts once more to be cleared up; without room or files is refused, as its own doing; and works again with both', async () => {
    const { driver } = instances;
    await driver.stop(rogue, { graceMs: 5_000 }, instances.call());
    await instances.start(rogue);
    // What was kept for this start is used up too, and so are the files that it may have.
    await instances.runInside(rogue, 'mkdir many && cd many && seq 20000 | xargs touch 2>/dev/null || true');
    await instances.runInside(rogue, 'head -c 1G /dev/zero > workspaces/alpha/more || true');
    const large = new Map([['FULL.md', Buffer.alloc(8 * MEBIBYTE)]]);
    await expect(driver.putFiles(rogue, directory, large, instances.call())).rejects.toThrow(InstanceDiskFullError);
    await driver.stop(rogue, { graceMs: 5_000 }, instances.call());
    await expect(instances.start(rogue)).rejects.toThrow(InstanceDiskFullError);
    await driver.removePaths(rogue, [`${driver.paths(rogue).workspaceOf('alpha')}/flood`], instances.call());
    await expect(instances.start(rogue)).rejects.toThrow(InstanceDiskFullError);
    await driver.removePaths(rogue, [`${driver.paths(rogue).stateDir}/many`], instances.call());
    await instances.start(rogue);
    await driver.putFiles(rogue, directory, keep('AFTER.md'), instances.call());
    expect(await instances.runInside(rogue, 'cat workspaces/alpha/BEFORE.md workspaces/alpha/AFTER.md')).toBe('keptkept');
  });

  test('has what it stored after a stop, files changed meanwhile, a start of the machine and a larger size', async () => {
    const driver = instances.openDriver({ INSTANCE_DISK_MB: 3 * DISK_MB });
    await driver.stop(rogue, { graceMs: 5_000 }, instances.call());
    await driver.putFiles(rogue, directory, keep('STOPPED.md'), instances.call());
    // As a start of the machine does.
    await run('umount', [instances.names.diskOf(rogue)]);
    expect(await attachedDisks(instances.settings.DATA_DIR, rogue)).toEqual([]);
    await driver.ensureRunning(specOf(driver, rogue), instances.call());
    expect(await instances.runInside(rogue, 'cat workspaces/alpha/BEFORE.md workspaces/alpha/STOPPED.md')).toBe('keptkept');
    expect(await freeMiB(rogue)).toBeGreaterThan(DISK_MB + DISK_MB / 2);
    expect(await attachedDisks(instances.settings.DATA_DIR, rogue)).toHaveLength(1);
  });

  test('is mounted as it is, and neither mended nor enlarged, while somebody has a copy of this machine’s mounts; the walls have none', async () => {
    const { names } = instances;
    await docker('restart', '--time', '1', names.walls);
    const walls = (await docker('inspect', '--format', '{{.State.Pid}}', names.walls)).trim();
    expect(await readFile(`/proc/${walls}/mountinfo`, 'utf8')).not.toContain(names.diskOf(rogue));
    const image = (await docker('inspect', '--format', '{{.Image}}', names.of(rogue))).trim();
    const holder = (await docker('run', '--detach', '--volume', '/run:/host/run', '--entrypoint', 'sleep', image, '600')).trim();
    try {
      const driver = instances.openDriver({ INSTANCE_DISK_MB: 4 * DISK_MB });
      const before = await freeMiB(rogue);
      await driver.stop(rogue, { graceMs: 5_000 }, instances.call());
      await driver.ensureRunning(specOf(driver, rogue), instances.call());
      expect(await instances.runInside(rogue, 'cat workspaces/alpha/BEFORE.md')).toBe('kept');
      expect(Math.abs((await freeMiB(rogue)) - before)).toBeLessThan(DISK_MB / 2);
      expect(await attachedDisks(instances.settings.DATA_DIR, rogue)).toHaveLength(1);
    } finally {
      await docker('rm', '--force', holder);
    }
  });

  test('keeps its way of storing when the setting is taken back, and so does one without a disk when it is set', async () => {
    const without = instances.openDriver({ INSTANCE_DISK_MB: undefined });
    const plain = 'plain';
    await without.putFiles(plain, directory, keep('PLAIN.md'), instances.call());
    const withDisk = instances.openDriver();
    await withDisk.ensureRunning(specOf(withDisk, plain), instances.call());
    expect(await instances.runInside(plain, 'cat workspaces/alpha/PLAIN.md')).toBe('kept');
    expect(await attachedDisks(instances.settings.DATA_DIR, plain)).toEqual([]);
    await withDisk.destroy(plain, instances.call());

    await without.stop(rogue, { graceMs: 30_000 }, instances.call());
    await without.ensureRunning(specOf(without, rogue), instances.call());
    expect(await instances.runInside(rogue, 'cat workspaces/alpha/BEFORE.md')).toBe('kept');
  });

  test('for which the machine has no room is refused in words, and leaves nothing', async () => {
    const driver = instances.openDriver({ INSTANCE_DISK_MB: 1024 ** 2 });
    const started = driver.ensureRunning(specOf(driver, 'huge'), instances.call());
    await expect(started).rejects.toThrow(StorageError);
    await expect(started).rejects.toThrow(/no room for the disk .*huge.* lower INSTANCE_DISK_MB/);
    await driver.destroy('huge', instances.call());
    expect(await driver.inspect('huge')).toMatchObject({ status: 'absent' });
  });

  test('goes on when the engine is killed, and starts again afterwards with what it stored', async () => {
    const { driver } = instances;
    await ownEngine('crash');
    await ownEngine('start');
    await eventually(() => instances.work(rogue), WAIT_MS);
    await driver.putFiles(rogue, directory, keep('CRASHED.md'), instances.call());
    for (let round = 0; round < 2; round += 1) {
      await driver.stop(rogue, { graceMs: 5_000 }, instances.call());
      await driver.ensureRunning(specOf(driver, rogue), instances.call());
      expect(await instances.runInside(rogue, 'cat workspaces/alpha/BEFORE.md workspaces/alpha/CRASHED.md')).toBe('keptkept');
    }
    expect(await attachedDisks(instances.settings.DATA_DIR, rogue)).toHaveLength(1);
  });

  test('that is destroyed leaves no container, volume, loop device or file', async () => {
    const { driver } = instances;
    const [device] = await attachedDisks(instances.settings.DATA_DIR, rogue);
    await docker('rm', '--force', instances.names.of(rogue));
    await driver.destroy(rogue, instances.call());
    const { stdout } = await run('losetup', ['--list', '--noheadings', '--output', 'NAME']);
    expect(stdout.split('\n').map((name) => name.trim())).not.toContain(device);
    expect(await remnants(instances.names)).toEqual([instances.names.of(other), instances.names.of(other)]);
    expect(await driver.list()).toMatchObject([{ runtimeId: other }]);
  });

  async function freeMiB(runtimeId: string): Promise<number> {
    return Number(await instances.runInside(runtimeId, 'df --block-size=1M --output=avail . | tail -n 1'));
  }
});
