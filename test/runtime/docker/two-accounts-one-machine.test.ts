import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { docker, hasOwnEngine, TEST_MS, WAIT_MS } from '../../support/docker-under-test.ts';
import { eventually } from '../../support/eventually.ts';
import { CONNECT_MANY } from './connection-floods.ts';
import { openOutsideWorld, OUTSIDE, OUTSIDE_PORT } from './outside-world.ts';
import { openStandIns } from './stand-ins-under-test.ts';
import type { StandInsUnderTest } from './stand-ins-under-test.ts';

const PIDS = 100;
const CONNECTIONS = 64;
const MEBIBYTE = 1024 ** 2;
const OUTCOME = '/tmp/outcome';

jest.setTimeout(TEST_MS);

/** Python programs that take all that there is of something and keep it; the first prints how much that was. */
const TAKE = {
  inotify: `
import ctypes, time
libc, taken = ctypes.CDLL(None), 0
while libc.inotify_init1(0) >= 0: taken += 1
print(taken, flush=True)
time.sleep(3600)`,
  processes: `
import subprocess, time
taken = []
try:
  while True: taken.append(subprocess.Popen(["sleep", "3600"]))
except OSError: pass
time.sleep(3600)`,
};

/** Each test: one account takes all it can get of one thing, and meanwhile the other one's instance does its work. */
(hasOwnEngine ? describe : describe.skip)('two accounts on one machine', () => {
  const [greedy, modest] = ['greedy', 'modest'];
  let instances: StandInsUnderTest;
  let closeOutside: () => Promise<void>;

  beforeAll(async () => {
    closeOutside = await openOutsideWorld();
    const limits = { INSTANCE_PIDS: PIDS, INSTANCE_DISK_MB: 256, INSTANCE_CONNECTIONS: CONNECTIONS };
    instances = await openStandIns({ ...limits, INSTANCE_MEMORY_MB: 1024 });
    await instances.start(modest);
  });

  afterEach(async () => {
    await instances.driver.stop(greedy, { graceMs: 0 }, instances.call());
  });

  afterAll(async () => {
    await instances.close();
    await closeOutside();
  });

  const works = (): Promise<number> => instances.work(modest, `${OUTSIDE.public}:${OUTSIDE_PORT}`);

  /** Starts a program of the greedy one that goes on, and waits until it has printed something. */
  async function take(...command: string[]): Promise<string> {
    await instances.start(greedy);
    const quoted = command.map((word) => `'${word}'`).join(' ');
    await docker('exec', '--detach', instances.names.of(greedy), 'sh', '-c', `${quoted} > ${OUTCOME} 2>&1`);
    return eventually(async () => {
      const said = (await instances.runInside(greedy, `cat ${OUTCOME}`)).trim();
      expect(said).not.toBe('');
      return said;
    });
  }

  test('one that takes every inotify instance that it can get leaves the other one its own', async () => {
    const limit = Number(await readFile('/proc/sys/fs/inotify/max_user_instances', 'utf8'));
    expect(Number(await take('python3', '-c', TAKE.inotify))).toBeGreaterThan(limit / 2);
    // A new process: one that has watched a folder keeps its inotify instance.
    const another = 'import ctypes; print(ctypes.CDLL(None).inotify_init1(0))';
    expect(Number(await instances.runInside(modest, `python3 -c '${another}'`))).toBeGreaterThanOrEqual(0);
    await works();
  });

  test('one that takes every process that it can get leaves the other one its own, and is killed when it hears no SIGTERM', async () => {
    await instances.start(greedy);
    await docker('exec', '--detach', instances.names.of(greedy), 'sh', '-c', `python3 -c '${TAKE.processes}'`);
    // It is too full to be asked from within: the kernel remembers that it refused one.
    await eventually(async () => expect(await refusedProcesses(greedy)).toBeGreaterThan(0), WAIT_MS);
    const pids = await pidsOf(greedy);
    expect(pids.length).toBeGreaterThan(PIDS / 2);
    expect(pids.length).toBeLessThanOrEqual(PIDS);
    await works();
    // A process that is stopped hears no other signal.
    for (const pid of pids) process.kill(pid, 'SIGSTOP');
    await instances.driver.stop(greedy, { graceMs: 1_000 }, instances.call());
    expect(await instances.driver.exitOf(greedy)).toMatchObject({ code: null, signal: 'SIGKILL' });
  });

  test('one that takes more memory than it may is ended within its own, before anything else of the machine', async () => {
    await instances.start(greedy);
    expect((await instances.runInside(greedy, 'cat /proc/1/oom_score_adj')).trim()).toBe('500');
    const loop = 'a = []\nwhile True: a.append(bytearray(10**7))';
    await expect(instances.runInside(greedy, `python3 -c '${loop}'`)).rejects.toThrow();
    await works();
  });

  test('one that fills its disk leaves the other one room', async () => {
    await instances.start(greedy);
    await expect(instances.runInside(greedy, 'head -c 1G /dev/zero > flood')).rejects.toThrow(/No space left/);
    await works();
  });

  test('one that floods its log leaves a few megabytes of it, whose last lines are still read', async () => {
    await instances.start(greedy);
    const said = await instances.exec(greedy, 'yes $(seq 300) | head --bytes=24M > /proc/1/fd/1 && echo flooded');
    expect(said).toBe('flooded\n');
    const file = (await docker('inspect', '--format', '{{.LogPath}}', instances.names.of(greedy))).trim();
    await eventually(async () => {
      const sizes = await Promise.all([file, `${file}.1`].map(async (path) => (await stat(path)).size));
      for (const size of sizes) expect(size).toBeLessThan(10 * MEBIBYTE);
    }, WAIT_MS);
    await expect(stat(`${file}.2`)).rejects.toThrow('ENOENT');
    expect(await instances.driver.logs(greedy, 50)).toHaveLength(50);
    await works();
  });

  test('one that opens every connection that it can get leaves the other one its own', async () => {
    const said = await take('node', '-e', CONNECT_MANY, OUTSIDE.public, String(OUTSIDE_PORT), String(2 * CONNECTIONS), 'hold');
    expect(JSON.parse(said)).toEqual({ open: CONNECTIONS, refused: CONNECTIONS });
    await works();
  });

  test('one that computes as much as it can gives way: the other one answers', async () => {
    const burn = Array.from({ length: 8 }, () => 'yes > /dev/null &').join(' ');
    await take('sh', '-c', `${burn} echo burning; wait`);
    await works();
  });

  /** By the kernel's own count, in version 1 or 2 of its control groups. */
  async function refusedProcesses(runtimeId: string): Promise<number> {
    const [pid] = await pidsOf(runtimeId);
    const groups = (await readFile(`/proc/${pid}/cgroup`, 'utf8')).split('\n').map((line) => line.split(':'));
    const first = groups.find(([, controllers]) => controllers === 'pids');
    const path = first ? `pids${first[2]}` : (groups.find(([id]) => id === '0')?.[2] ?? '');
    return Number(/^max (\d+)$/m.exec(await readFile(join('/sys/fs/cgroup', path, 'pids.events'), 'utf8'))?.[1]);
  }

  /** As the machine numbers them. */
  async function pidsOf(runtimeId: string): Promise<number[]> {
    const lines = (await docker('top', instances.names.of(runtimeId), '-eo', 'pid')).trim().split('\n');
    return lines.slice(1).map(Number);
  }
});
