import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { docker } from '../../support/docker-under-test.ts';
import { eventually } from '../../support/eventually.ts';
import { openInstances, START_MS } from './instances-under-test.ts';
import type { InstancesUnderTest } from './instances-under-test.ts';

const PIDS = 200;
const MEBIBYTE = 1024 ** 2;

describe('whatever one instance does, the others answer', () => {
  const [rogue, other] = ['rogue', 'other'];
  let instances: InstancesUnderTest;

  beforeAll(async () => {
    instances = await openInstances({ INSTANCE_PIDS: PIDS });
    await Promise.all([instances.start(rogue), instances.start(other)]);
  }, 2 * START_MS);

  afterEach(() => instances.requireAnswer(other), START_MS);

  afterAll(() => instances.close(), START_MS);

  test(
    'a flood into its log keeps a few megabytes of it, and its last lines are still read',
    async () => {
      await instances.exec(rogue, 'timeout 10 sh -c "yes flooded > /proc/1/fd/1"; echo');
      const file = (await docker('inspect', '--format', '{{.LogPath}}', instances.names.of(rogue))).trim();
      const sizes = await Promise.all([file, `${file}.1`].map(async (path) => (await stat(path)).size));
      for (const size of sizes) expect(size).toBeLessThan(10 * MEBIBYTE);
      await expect(stat(`${file}.2`)).rejects.toThrow('ENOENT');
      expect(await instances.driver.logs(rogue, 50)).toHaveLength(50);
    },
    START_MS,
  );

  test(
    'a loop that takes all memory is ended within its own',
    async () => {
      await instances.exec(rogue, 'python3 -c "a=[]\nwhile True: a.append(bytearray(10**7))"; echo over').catch(() => '');
      const usage = await docker('stats', '--no-stream', '--format', '{{.MemUsage}}', instances.names.of(other));
      expect(usage).toContain('1.5GiB');
    },
    START_MS,
  );

  test(
    'a fork bomb ends at its limit, and a gateway that does not hear SIGTERM is killed',
    async () => {
      if ((await instances.driver.inspect(rogue)).status !== 'running') await instances.start(rogue);
      await docker('exec', '--detach', instances.names.of(rogue), 'sh', '-c', 'f() { f | f & }; f');
      // Where no process can be had, the bomb ends by itself: the limit remembers how often it refused one.
      await eventually(async () => expect(await refusedProcesses(rogue)).toBeGreaterThan(0), START_MS);
      const pids = Number(await docker('stats', '--no-stream', '--format', '{{.PIDs}}', instances.names.of(rogue)));
      expect(pids).toBeLessThanOrEqual(PIDS);
      // A process that is stopped hears no other signal.
      for (const pid of await pidsOf(rogue)) process.kill(pid, 'SIGSTOP');
      await instances.driver.stop(rogue, { graceMs: 1_000 }, instances.call());
      expect(await instances.driver.inspect(rogue)).toMatchObject({ status: 'exited' });
      expect(await instances.driver.exitOf(rogue)).toMatchObject({ code: null, signal: 'SIGKILL' });
    },
    START_MS,
  );

  /** By the kernel's own count, in version 1 or 2 of its control groups. */
  async function refusedProcesses(runtimeId: string): Promise<number> {
    const [pid] = await pidsOf(runtimeId);
    const groups = (await readFile(`/proc/${pid}/cgroup`, 'utf8')).split('\n').map((line) => line.split(':'));
    const first = groups.find(([, controllers]) => controllers === 'pids');
    const path = first ? `pids${first[2]}` : (groups.find(([id]) => id === '0')?.[2] ?? '');
    return Number(/^max (\d+)$/m.exec(await readFile(join('/sys/fs/cgroup', path, 'pids.events'), 'utf8'))?.[1]);
  }

  async function pidsOf(runtimeId: string): Promise<number[]> {
    const lines = (await docker('top', instances.names.of(runtimeId), '-eo', 'pid,args')).split('\n');
    return lines.filter((line) => line.includes('openclaw')).map((line) => Number.parseInt(line, 10));
  }
});
