import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { ConfigError } from '../../lib/settings/config.ts';
import type { Config } from '../../lib/settings/config.ts';
import { isErrno } from '../../lib/errno.ts';
import { Engine, EngineAwayError } from './engine.ts';

type Settings = Pick<
  Config,
  'DOCKER_SOCKET' | 'MAX_RUNNING' | `INSTANCE_${'RUNTIME' | 'PIDS' | 'CONNECTIONS' | 'CONNECTIONS_PER_SECOND'}`
>;

/** What an engine says of itself, as far as it matters here. */
const engineInfo = z.looseObject({
  Runtimes: z.record(z.string(), z.unknown()).nullish(),
  SecurityOptions: z.array(z.string()).nullish(),
  MemoryLimit: z.boolean().default(true),
  SwapLimit: z.boolean().default(true),
  PidsLimit: z.boolean().default(true),
  CpuCfsQuota: z.boolean().default(true),
  CPUShares: z.boolean().default(true),
});
export type EngineInfo = z.infer<typeof engineInfo>;

const LIMITS = {
  MemoryLimit: 'memory',
  SwapLimit: 'swap',
  PidsLimit: 'processes',
  CpuCfsQuota: 'CPU time',
  CPUShares: 'shares of CPU time',
} as const;
/** Runtimes that the engine finds by the name of their program, without naming them. */
const BY_PROGRAM = /^io\.containerd\./;
/** How long the kernel remembers a connection that has ended. */
const REMEMBERED_SECONDS = 120;
/** For all that is no instance. */
const OTHER_CONNECTIONS = 16_384;
const OTHER_PIDS = 4_096;
/** A gateway and the programs of its agents watch files. */
const INOTIFY_INSTANCES = 128;
const INOTIFY_WATCHES = 8_192;

/**
 * What an operator must know of the engine and the kernel of this machine, to be said at every start: one sentence for
 * each. Throws ConfigError when INSTANCE_RUNTIME names a runtime that the engine does not have. What cannot be asked is
 * taken to be right.
 */
export async function checkMachine(settings: Settings): Promise<string[]> {
  const info = await infoOf(settings.DOCKER_SOCKET);
  if (info) refuseUnknownRuntime(settings, info);
  return [...(info ? engineWarnings(info) : []), ...(await kernelWarnings(settings, readSysctl))];
}

async function infoOf(socketPath: string): Promise<EngineInfo | null> {
  try {
    return engineInfo.parse(await new Engine(socketPath).call('GET', '/info'));
  } catch (error) {
    if (error instanceof EngineAwayError) return null;
    throw error;
  }
}

/** Throws ConfigError, with the runtimes that the engine has. */
export function refuseUnknownRuntime(
  { INSTANCE_RUNTIME, DOCKER_SOCKET }: Pick<Settings, 'INSTANCE_RUNTIME' | 'DOCKER_SOCKET'>,
  { Runtimes }: EngineInfo,
): void {
  const known = Object.keys(Runtimes ?? {});
  if (INSTANCE_RUNTIME === undefined || BY_PROGRAM.test(INSTANCE_RUNTIME) || known.includes(INSTANCE_RUNTIME)) return;
  throw new ConfigError(
    `INSTANCE_RUNTIME is ${INSTANCE_RUNTIME}, and the Docker engine at ${DOCKER_SOCKET} has only ${known.toSorted().join(', ')}. ` +
      'Install the runtime, name it under "runtimes" in /etc/docker/daemon.json and restart the engine, or change the setting.',
  );
}

/** What the engine cannot do on this machine. */
export function engineWarnings(info: EngineInfo): string[] {
  const missing = Object.entries(LIMITS).flatMap(([name, what]) => (info[name] === false ? [what] : []));
  const limits =
    missing.length === 0
      ? []
      : [
          `The Docker engine cannot limit what containers take of this machine: ${missing.join(', ')} (docker info says why). ` +
            'One instance can take all of it; enable these control groups in the kernel.',
        ];
  const hasSeccomp = (info.SecurityOptions ?? []).some((option) => option.includes('name=seccomp'));
  if (hasSeccomp) return limits;
  return [
    ...limits,
    'The Docker engine filters no system calls (seccomp): programs of instances can make user namespaces, where most faults of ' +
      'kernels are reached. Enable seccomp, or set kernel.unprivileged_userns_clone=0 or user.max_user_namespaces=0.',
  ];
}

/** What the kernel has too little of for so many instances as may run. */
export async function kernelWarnings(
  settings: Pick<Settings, 'MAX_RUNNING' | `INSTANCE_${'PIDS' | 'CONNECTIONS' | 'CONNECTIONS_PER_SECOND'}`>,
  read: (name: string) => Promise<number | null>,
): Promise<string[]> {
  const { MAX_RUNNING, INSTANCE_PIDS, INSTANCE_CONNECTIONS, INSTANCE_CONNECTIONS_PER_SECOND } = settings;
  const connections = INSTANCE_CONNECTIONS + INSTANCE_CONNECTIONS_PER_SECOND * REMEMBERED_SECONDS;
  const needs = {
    'net.netfilter.nf_conntrack_max': MAX_RUNNING * connections + OTHER_CONNECTIONS,
    'kernel.pid_max': MAX_RUNNING * INSTANCE_PIDS + OTHER_PIDS,
    'fs.inotify.max_user_instances': INOTIFY_INSTANCES,
    'fs.inotify.max_user_watches': INOTIFY_WATCHES,
  };
  const warnings = await Promise.all(
    Object.entries(needs).map(async ([name, needed]) => {
      const value = await read(name);
      if (value === null || value >= needed) return [];
      return [
        `${name} is ${value}, and ${MAX_RUNNING} instances may need ${needed}: then one of them takes from the others. ` +
          `Put ${name}=${needed} into /etc/sysctl.d and run sysctl --system, or lower MAX_RUNNING.`,
      ];
    }),
  );
  return warnings.flat();
}

/** Null where this kernel does not have it, or not yet. */
async function readSysctl(name: string): Promise<number | null> {
  try {
    return Number(await readFile(join('/proc/sys', ...name.split('.')), 'utf8'));
  } catch (error) {
    if (isErrno(error, 'ENOENT') || isErrno(error, 'EACCES')) return null;
    throw error;
  }
}
