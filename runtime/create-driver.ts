import { join } from 'node:path';
import type { Config } from '../lib/settings/config.ts';
import { DockerDriver } from './docker/docker-driver.ts';
import { imageName } from './docker/image.ts';
import type { RuntimeDriver } from './driver.ts';
import type { OpenClawInstallation } from './openclaw/install/installation.ts';
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

function relayUrlOf({ RELAY_HOST, RELAY_PORT }: Pick<Config, 'RELAY_HOST' | 'RELAY_PORT'>): string {
  const host = RELAY_HOST.includes(':') ? `[${RELAY_HOST}]` : RELAY_HOST;
  return `http://${host}:${RELAY_PORT}/v1`;
}
