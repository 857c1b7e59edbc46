import { readFile } from 'node:fs/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { docker, hasOwnEngine } from '../../support/docker-under-test.ts';
import { eventually } from '../../support/eventually.ts';
import { CONNECT_MANY } from './connection-floods.ts';
import { openOutsideWorld, OUTSIDE, OUTSIDE_PORT } from './outside-world.ts';
import { openStandIns, WAIT_MS } from './stand-ins-under-test.ts';
import type { StandInsUnderTest } from './stand-ins-under-test.ts';

const PIDS = 100;
const CONNECTIONS = 64;
const OUTCOME = '/tmp/outcome';

/** Python programs that take all that there is of something, print how much that was, and keep it. */
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
except OSError: print(len(taken), flush=True)
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

  test(
    'one that takes every inotify instance that it can get leaves the other one its own',
    async () => {
      const limit = Number(await readFile('/proc/sys/fs/inotify/max_user_instances', 'utf8'));
      expect(Number(await take('python3', '-c', TAKE.inotify))).toBeGreaterThan(limit / 2);
      // A new process: one that has watched a folder keeps its inotify instance.
      const another = 'import ctypes; print(ctypes.CDLL(None).inotify_init1(0))';
      expect(Number(await instances.runInside(modest, `python3 -c '${another}'`))).toBeGreaterThanOrEqual(0);
      await works();
    },
    WAIT_MS,
  );

  test(
    'one that takes every process that it can get leaves the other one its own',
    async () => {
      await instances.start(greedy);
      await docker('exec', '--detach', instances.names.of(greedy), 'sh', '-c', `python3 -c '${TAKE.processes}'`);
      // It is too full to be asked from within.
      await eventually(async () => {
        const lines = (await docker('top', instances.names.of(greedy), '-eo', 'pid')).trim().split('\n');
        expect(lines.length - 1).toBeGreaterThan(PIDS / 2);
        expect(lines.length - 1).toBeLessThanOrEqual(PIDS);
      });
      await works();
    },
    WAIT_MS,
  );

  test(
    'one that takes more memory than it may is ended within its own, before anything else of the machine',
    async () => {
      await instances.start(greedy);
      expect((await instances.runInside(greedy, 'cat /proc/1/oom_score_adj')).trim()).toBe('500');
      const loop = 'a = []\nwhile True: a.append(bytearray(10**7))';
      await expect(instances.runInside(greedy, `python3 -c '${loop}'`)).rejects.toThrow();
      await works();
    },
    WAIT_MS,
  );

  test(
    'one that fills its disk leaves the other one room',
    async () => {
      await instances.start(greedy);
      await expect(instances.runInside(greedy, 'head -c 1G /dev/zero > flood')).rejects.toThrow(/No space left/);
      await works();
    },
    WAIT_MS,
  );

  test(
    'one that opens every connection that it can get leaves the other one its own',
    async () => {
      const said = await take('node', '-e', CONNECT_MANY, OUTSIDE.public, String(OUTSIDE_PORT), String(2 * CONNECTIONS), 'hold');
      expect(JSON.parse(said)).toEqual({ open: CONNECTIONS, refused: CONNECTIONS });
      await works();
    },
    WAIT_MS,
  );

  test(
    'one that computes as much as it can gives way: the other one answers',
    async () => {
      const burn = Array.from({ length: 8 }, () => 'yes > /dev/null &').join(' ');
      await take('sh', '-c', `${burn} echo burning; wait`);
      await works();
    },
    WAIT_MS,
  );
});
