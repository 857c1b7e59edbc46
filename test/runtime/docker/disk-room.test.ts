import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { StorageError } from '../../../runtime/host/storage-error.ts';
import { docker as runDocker, hasOwnEngine, openDocker, TEST_MS, WAIT_MS } from '../../support/docker-under-test.ts';
import type { DockerUnderTest } from '../../support/docker-under-test.ts';
import { eventually } from '../../support/eventually.ts';

const run = promisify(execFile);
const DISK_MB = 256;
/** What disk.sh leaves to others on the machine's own disk. */
const LEFT_FREE_MB = 1024;
const AT_ONCE = 8;
const FILES = new Map([['KEPT.md', Buffer.from('kept')]]);

jest.setTimeout(TEST_MS);

(hasOwnEngine ? describe : describe.skip)('where there is room for one more disk', () => {
  let docker: DockerUnderTest;
  let runtimes: string;

  beforeAll(async () => {
    docker = await openDocker({ INSTANCE_DISK_MB: DISK_MB });
    runtimes = join(docker.settings.DATA_DIR, 'runtimes');
    await mkdir(runtimes);
    await run('mount', ['-t', 'tmpfs', '-o', `size=${LEFT_FREE_MB + DISK_MB + 64}m`, 'tmpfs', runtimes]);
  });

  afterAll(async () => {
    for (const { runtimeId } of await docker.openDriver().list())
      await docker.openDriver().destroy(runtimeId, { epoch: 2, signal: AbortSignal.timeout(WAIT_MS) });
    await run('umount', [runtimes]);
    await docker.close();
  });

  test('a disk is made only when no other one of this machine is being made', async () => {
    const maker = spawn('flock', ['/dev/loop-control', 'sh', '-c', 'echo held; cat'], { stdio: ['pipe', 'pipe', 'inherit'] });
    await once(maker.stdout, 'data');
    const driver = docker.openDriver();
    const made = driver.putFiles('waiting', 'workspaces/alpha', FILES, { epoch: 1, signal: AbortSignal.timeout(WAIT_MS) });
    const processes = () => runDocker('top', `${docker.names.of('waiting')}-disk`, '-eo', 'pid,args');
    try {
      await eventually(async () => expect(await processes()).toContain('flock --wait'), WAIT_MS);
      expect(await readdir(join(runtimes, 'waiting'))).not.toContain('disk.img');
    } finally {
      maker.stdin.end();
    }
    await made;
    await driver.destroy('waiting', { epoch: 2, signal: AbortSignal.timeout(WAIT_MS) });
  });

  test('of many that are made at once one is made, the others are refused, and the room that is left to others stays', async () => {
    const driver = docker.openDriver();
    const names = Array.from({ length: AT_ONCE }, (_, index) => `disk-${index}`);
    const made = await Promise.allSettled(
      names.map((name) => driver.putFiles(name, 'workspaces/alpha', FILES, { epoch: 1, signal: AbortSignal.timeout(WAIT_MS) })),
    );

    const refusals = made.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason] : []));
    expect(refusals).toHaveLength(AT_ONCE - 1);
    for (const refusal of refusals) {
      expect(refusal).toBeInstanceOf(StorageError);
      expect(String(refusal)).toContain('There is no room for the disk');
    }
    const { stdout } = await run('df', ['--block-size=1M', '--output=avail', runtimes]);
    expect(Number(stdout.split('\n')[1])).toBeGreaterThanOrEqual(LEFT_FREE_MB);
  });
});
