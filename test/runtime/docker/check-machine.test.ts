import { describe, expect, test } from '@jest/globals';
import { ConfigError } from '../../../lib/settings/config.ts';
import { checkMachine, engineWarnings, kernelWarnings, refuseUnknownRuntime } from '../../../runtime/docker/check-machine.ts';
import { ENGINE_SOCKET, hasEngine } from '../../support/docker-under-test.ts';

const settings = {
  MAX_RUNNING: 10,
  INSTANCE_PIDS: 512,
  INSTANCE_CONNECTIONS: 512,
  INSTANCE_CONNECTIONS_PER_SECOND: 50,
};
const ENOUGH: Record<string, number> = {
  'net.netfilter.nf_conntrack_max': 10 * (512 + 50 * 120) + 16_384,
  'kernel.pid_max': 10 * 512 + 4_096,
  'fs.inotify.max_user_instances': 128,
  'fs.inotify.max_user_watches': 8_192,
};
const info = {
  Runtimes: { runc: {}, runsc: {} },
  SecurityOptions: ['name=seccomp,profile=builtin'],
  MemoryLimit: true,
  SwapLimit: true,
  PidsLimit: true,
  CpuCfsQuota: true,
  CPUShares: true,
};

test('a kernel with room for all instances is nothing to speak of, nor is one that does not say', async () => {
  expect(await kernelWarnings(settings, async (name) => ENOUGH[name] ?? null)).toEqual([]);
  expect(await kernelWarnings(settings, async () => null)).toEqual([]);
});

test.each(Object.keys(ENOUGH))('%s that is one too small is said with the value that it should have', async (small) => {
  const needed = ENOUGH[small] ?? 0;
  const [warning, ...others] = await kernelWarnings(settings, async (name) =>
    name === small ? needed - 1 : (ENOUGH[name] ?? null),
  );
  expect(others).toEqual([]);
  expect(warning).toContain(`${small} is ${needed - 1}, and 10 instances may need ${needed}`);
  expect(warning).toContain(`Put ${small}=${needed} into /etc/sysctl.d`);
});

test('an engine that cannot limit something, or filters no system calls, is said in a sentence', () => {
  expect(engineWarnings(info)).toEqual([]);
  expect(engineWarnings({ ...info, PidsLimit: false, SwapLimit: false }).join()).toContain('swap, processes');
  expect(engineWarnings({ ...info, SecurityOptions: [] }).join()).toContain('kernel.unprivileged_userns_clone=0');
});

describe('INSTANCE_RUNTIME', () => {
  const refuse = (INSTANCE_RUNTIME: string | undefined) => () =>
    refuseUnknownRuntime({ INSTANCE_RUNTIME, DOCKER_SOCKET: '/docker.sock' }, info);

  test('is one that the engine has, or that it finds by the name of its program, or unset', () => {
    for (const known of ['runc', 'runsc', 'io.containerd.kata.v2', undefined]) expect(refuse(known)).not.toThrow();
  });

  test('that the engine does not have is refused with those that it has', () => {
    expect(refuse('kata')).toThrow(ConfigError);
    expect(refuse('kata')).toThrow('INSTANCE_RUNTIME is kata, and the Docker engine at /docker.sock has only runc, runsc.');
  });
});

(hasEngine ? describe : describe.skip)('on an engine', () => {
  test('INSTANCE_RUNTIME is looked up, when the engine answers', async () => {
    const of = (INSTANCE_RUNTIME: string, DOCKER_SOCKET = ENGINE_SOCKET) =>
      checkMachine({ ...settings, INSTANCE_RUNTIME, DOCKER_SOCKET });
    await expect(of('no-such-runtime')).rejects.toThrow(/INSTANCE_RUNTIME is no-such-runtime, .*runc/);
    for (const warning of [...(await of('runc')), ...(await of('no-such-runtime', '/nowhere/docker.sock'))])
      expect(warning).toMatch(/^(net|kernel|fs)\./);
  });
});
