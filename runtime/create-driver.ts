import { join } from 'node:path';
import type { Config } from '../lib/settings/config.ts';
import { defaultMaxRunning } from '../lib/settings/max-running.ts';
import { DockerDriver } from './docker/docker-driver.ts';
import { imageName } from './docker/image.ts';
import { IMAGE_PROGRAMS } from './docker/image-programs.ts';
import type { RuntimeDriver } from './driver.ts';
import { packageDirOf } from './openclaw/install/installation.ts';
import type { OpenClawInstallation } from './openclaw/install/installation.ts';
import type { SkillHost } from './openclaw/content/skill-catalogue.ts';
import { programPath } from './host/gateway-environment.ts';
import type { GatewayProgram } from './host/gateway-environment.ts';
import { openKubernetes } from './kubernetes/open-kubernetes.ts';
import type { KubernetesSettings } from './kubernetes/open-kubernetes.ts';
import { ProcessDriver } from './process/process-driver.ts';

const PUBLIC_RESOLVERS = ['1.1.1.1', '8.8.8.8'];

export interface DriverDeps {
  openclaw: OpenClawInstallation;
  cacheDir: string;
  /** The Node executable that gateways run with. */
  node: string;
}

type AnySettings = Pick<Config, 'DATA_DIR' | 'RELAY_HOST' | 'RELAY_PORT'>;
type DockerSettings = Pick<
  Config,
  | 'DOCKER_SOCKET'
  | 'EGRESS'
  | 'EGRESS_MAIL'
  | `INSTANCE_${'IMAGE' | 'DISK_MB' | 'MEMORY_MB' | 'CPUS' | 'PIDS' | 'SUBNETS' | 'DNS' | 'CONNECTIONS' | 'CONNECTIONS_PER_SECOND' | 'RUNTIME' | 'FIRST_UID'}`
>;

/** What a driver is made from: of the settings, those that its RUNTIME uses. */
export type DriverSettings = AnySettings &
  ({ RUNTIME: 'process' } | (DockerSettings & { RUNTIME: 'docker' }) | (KubernetesSettings & { RUNTIME: 'kubernetes' })) & {
    installationId?: string;
  };

/** The driver that RUNTIME names. Without an OpenClaw installation, which containers have in their image, it starts no process. */
export function createDriver(config: DriverSettings, deps: DriverDeps | null): RuntimeDriver {
  switch (config.RUNTIME) {
    case 'process':
      return new ProcessDriver({
        dataDir: config.DATA_DIR,
        relayUrl: relayUrlOf(config),
        program: deps && programOf(deps),
      });
    case 'docker':
      return new DockerDriver({
        dataDir: config.DATA_DIR,
        installationId: config.installationId,
        socketPath: config.DOCKER_SOCKET,
        image: () => imageOf(config),
        limits: { memoryMb: config.INSTANCE_MEMORY_MB, cpus: config.INSTANCE_CPUS, pids: config.INSTANCE_PIDS },
        runtime: config.INSTANCE_RUNTIME,
        firstUid: config.INSTANCE_FIRST_UID,
        diskMb: config.INSTANCE_DISK_MB,
        walls: {
          relay: { host: config.RELAY_HOST, port: config.RELAY_PORT },
          egress: config.EGRESS,
          resolvers: resolversOf(config),
          connections: { open: config.INSTANCE_CONNECTIONS, perSecond: config.INSTANCE_CONNECTIONS_PER_SECOND },
          mail: config.EGRESS_MAIL,
        },
        subnets: config.INSTANCE_SUBNETS,
      });
    case 'kubernetes':
      return openKubernetes(config, {
        installationId: config.installationId ?? config.DATA_DIR,
        relayUrl: relayUrlOf(config),
        resolvers: resolversOf(config),
        image: () => imageOf(config),
      });
  }
}

async function imageOf({ INSTANCE_IMAGE }: Pick<Config, 'INSTANCE_IMAGE'>): Promise<string> {
  return INSTANCE_IMAGE ?? (await imageName());
}

function resolversOf({ EGRESS, INSTANCE_DNS }: Pick<Config, 'EGRESS' | 'INSTANCE_DNS'>): readonly string[] {
  if (EGRESS !== 'open') return [];
  return INSTANCE_DNS.length === 0 ? PUBLIC_RESOLVERS : INSTANCE_DNS;
}

function programOf({ openclaw, cacheDir, node }: DriverDeps): GatewayProgram {
  return { node, entry: openclaw.entry, compileCacheDir: join(cacheDir, 'compile-cache') };
}

/** Where the built-in skills come from and run, in this way of running instances. */
export async function skillHost(
  { RUNTIME }: Pick<Config, 'RUNTIME'>,
  { cacheDir, node }: Pick<DriverDeps, 'cacheDir' | 'node'>,
): Promise<SkillHost> {
  const packageDir = await packageDirOf(cacheDir);
  switch (RUNTIME) {
    case 'process':
      return { packageDir, path: programPath(node), platform: process.platform };
    case 'docker':
    case 'kubernetes':
      return { packageDir, programs: IMAGE_PROGRAMS, platform: 'linux' };
  }
}

type WarningSettings = Pick<Config, 'RUNTIME' | 'INSTANCE_DISK_MB' | 'INSTANCE_MEMORY_MB' | 'MAX_RUNNING'>;

/** What an operator must know about this way of running instances, to be said at every start. */
export function driverWarnings(config: WarningSettings, totalBytes?: number): string[] {
  const { RUNTIME, INSTANCE_DISK_MB, INSTANCE_MEMORY_MB, MAX_RUNNING } = config;
  switch (RUNTIME) {
    case 'process':
      return [
        'RUNTIME=process does not isolate instances from each other: all agents run as one user of this machine and ' +
          'can read its files and reach its network. Use it for yourself, not for customers who do not trust each other.',
      ];
    case 'kubernetes':
      return [];
    case 'docker': {
      const room = defaultMaxRunning(config, totalBytes);
      return [
        ...(INSTANCE_DISK_MB === undefined
          ? [
              'INSTANCE_DISK_MB is not set: one instance can fill the disk that all of them share. Set it to give each new instance ' +
                'its own disk.',
            ]
          : []),
        ...(MAX_RUNNING > room
          ? [
              `MAX_RUNNING is ${MAX_RUNNING}, and the memory of this machine holds ${room} instances of ${INSTANCE_MEMORY_MB} MiB: when ` +
                'more of them use what they may, the kernel ends some. Lower MAX_RUNNING or INSTANCE_MEMORY_MB.',
            ]
          : []),
      ];
    }
  }
}

function relayUrlOf({ RELAY_HOST, RELAY_PORT }: Pick<Config, 'RELAY_HOST' | 'RELAY_PORT'>): string {
  const host = RELAY_HOST.includes(':') ? `[${RELAY_HOST}]` : RELAY_HOST;
  return `http://${host}:${RELAY_PORT}/v1`;
}
