import { execFile } from 'node:child_process';
import { chown, lstat, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { STATE_DIR } from '../../../runtime/docker/in-container.ts';
import { docker, hasOwnEngine, TEST_MS } from '../../support/docker-under-test.ts';
import { openStandIns } from './stand-ins-under-test.ts';
import type { StandInsUnderTest } from './stand-ins-under-test.ts';

/** The user of all instances in earlier versions. */
const EARLIER = 1000;
const FIRST_UID = 1_800_000_000;
const file = new Map([['NOTE.md', Buffer.from('kept')]]);

jest.setTimeout(TEST_MS);

(hasOwnEngine ? describe : describe.skip).each([
  { where: 'in a volume', settings: {} },
  { where: 'on a disk', settings: { INSTANCE_DISK_MB: 256 } },
])('instances that store $where', ({ settings }) => {
  const [one, other] = ['one', 'other'];
  let instances: StandInsUnderTest;

  beforeAll(async () => {
    instances = await openStandIns({ ...settings, INSTANCE_FIRST_UID: FIRST_UID });
    await instances.driver.putFiles(one, 'workspaces/alpha', file, instances.call());
    await Promise.all([instances.start(one), instances.start(other)]);
  });
  afterAll(() => instances.close());

  /** Where the engine's machine has what it stores. */
  async function storageOf(runtimeId: string): Promise<string> {
    if ('INSTANCE_DISK_MB' in settings) return instances.names.diskOf(runtimeId);
    return (await docker('volume', 'inspect', '--format', '{{.Mountpoint}}', instances.names.of(runtimeId))).trim();
  }

  /** What is not its user's of what it stores. */
  const foreign = (runtimeId: string, uid: number): Promise<string> =>
    instances.runInside(runtimeId, `find . -path ./skills -prune -o '(' ! -uid ${uid} -o ! -gid ${uid} ')' -print`);

  test('are users of their own, known by a name, who own their files; the next start has the same one', async () => {
    const uids = await Promise.all([one, other].map((name) => instances.work(name)));
    expect(new Set(uids).size).toBe(2);
    for (const uid of uids) expect(uid).toBeGreaterThanOrEqual(FIRST_UID);
    expect(await foreign(one, uids[0]!)).toBe('');
    expect(await instances.runInside(one, 'id -un && cat workspaces/alpha/NOTE.md')).toBe('node\nkept');
    await instances.driver.stop(one, { graceMs: 5_000 }, instances.call());
    await instances.driver.putFiles(one, 'workspaces/alpha', new Map([['MORE.md', Buffer.from('more')]]), instances.call());
    await instances.start(one);
    expect(await instances.work(one)).toBe(uids[0]);
    expect(await foreign(one, uids[0]!)).toBe('');
  });

  test('of an earlier version are given their files when they are started, and nothing that a link leads to', async () => {
    const uid = await instances.work(one);
    const outside = join(instances.settings.DATA_DIR, 'outside');
    await writeFile(outside, 'not theirs');
    await chown(outside, 0, 0);
    await instances.driver.stop(one, { graceMs: 5_000 }, instances.call());
    const storage = await storageOf(one);
    await symlink(outside, join(storage, 'link'));
    await promisify(execFile)('chown', ['-Rh', `${EARLIER}:${EARLIER}`, storage]);
    await rm(join(instances.settings.DATA_DIR, 'runtimes', one, 'owner'), { force: true });
    await instances.start(one);
    expect(await foreign(one, uid)).toBe('');
    expect((await stat(outside)).uid).toBe(0);
    expect((await lstat(join(storage, 'link'))).uid).toBe(uid);
  });

  test('and that an earlier version still runs have their files changed as their user of then', async () => {
    const { names, driver } = instances;
    await driver.stop(other, { graceMs: 5_000 }, instances.call());
    const storage = await storageOf(other);
    await promisify(execFile)('chown', ['-Rh', `${EARLIER}:${EARLIER}`, storage]);
    const image = (await docker('inspect', '--format', '{{.Image}}', names.of(other))).trim();
    await docker('rm', '--force', names.of(other));
    const source = 'INSTANCE_DISK_MB' in settings ? storage : names.of(other);
    const words = ['--detach', '--name', names.of(other), '--user', `${EARLIER}:${EARLIER}`, '--entrypoint', 'sleep'];
    await docker('run', ...words, '--volume', `${source}:${STATE_DIR}`, image, 'infinity');
    await driver.putFiles(other, 'workspaces/alpha', file, instances.call());
    expect((await stat(join(storage, 'workspaces/alpha/NOTE.md'))).uid).toBe(EARLIER);
  });
});
