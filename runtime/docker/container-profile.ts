import { gatewayCommand } from '../host/gateway-environment.ts';
import type { RuntimeLayout } from '../host/runtime-layout.ts';
import { CONFIG_DIR, containerEnvironment, ENTRYPOINT, GATEWAY_PORT, PROGRAM, SKILLS_DIR, STATE_DIR } from './in-container.ts';
import type { StateMount } from './instance-storage.ts';
import type { InstanceUser } from './instance-user.ts';

export interface ContainerLimits {
  memoryMb: number;
  cpus: number;
  pids: number;
}

export interface ContainerOptions {
  name: string;
  image: string;
  labels: Record<string, string>;
  limits: ContainerLimits;
  /** Asked by instances; empty: they resolve no names. */
  resolvers: readonly string[];
  state: StateMount;
  layout: RuntimeLayout;
  user: InstanceUser;
  /** What runs the container: one of the engine's runtimes, undefined for its default. */
  runtime: string | undefined;
}

const MEBIBYTE = 1024 ** 2;
const NANO_CPUS = 1e9;
/** In memory, and small: TMPDIR lies on the volume. Some programs insist on /tmp. */
const TMP_OPTIONS = 'rw,nosuid,nodev,noexec,size=64m,mode=1777';
/** An address at which no name server answers: without any, the engine would use the resolvers of its machine. */
const NO_RESOLVER = '192.0.2.53';
/** More than the grace of any stop: the engine's own patience is not what decides. */
const STOP_TIMEOUT_S = 120;
/** A port that must be the container's alone, over loopback alone. */
const PORT_KEY = `${GATEWAY_PORT}/tcp`;

/**
 * What runs for a customer gives way where memory, CPU time or the disk become scarce: to PostgreSQL, Temporal and our own
 * processes, which have the engine's defaults or better (docker-compose.yml).
 */
export const GIVES_WAY = {
  // From -1000 to 1000: the kernel ends the highest ones first.
  OomScoreAdj: 500,
  // Of 1024 by default.
  CpuShares: 256,
  // Of 500 by default; nothing where the kernel does not weigh the disk.
  BlkioWeight: 100,
};

/** Of one that gives way to the other instances too, for a while. */
export const FEW_CPU_SHARES = 26;

/** What keeps a container small and harmless, whatever runs in it. */
export function hardening({ memoryMb, cpus, pids }: ContainerLimits) {
  return {
    Memory: memoryMb * MEBIBYTE,
    // No swap beside it.
    MemorySwap: memoryMb * MEBIBYTE,
    NanoCpus: Math.round(cpus * NANO_CPUS),
    PidsLimit: pids,
    CapDrop: ['ALL'],
    SecurityOpt: ['no-new-privileges:true'],
    Privileged: false,
    ReadonlyRootfs: true,
    Tmpfs: { '/tmp': TMP_OPTIONS },
    IpcMode: 'private',
    CgroupnsMode: 'private',
    // No more: what the engine may give is the machine's own matter.
    Ulimits: [{ Name: 'core', Soft: 0, Hard: 0 }],
    // The engine keeps the end of what a gateway says, however much it is.
    LogConfig: { Type: 'json-file', Config: { 'max-size': '8m', 'max-file': '2' } },
    // Who is to run is the reconciler's decision.
    RestartPolicy: { Name: 'no' },
    AutoRemove: false,
  };
}

/** The body of the engine's create call for the gateway of one runtime. Nothing in it is secret. */
export function gatewayContainer(options: ContainerOptions) {
  const { name, image, labels, limits, resolvers, state, layout, user, runtime } = options;
  const readOnly = (Source: string, Target: string) => {
    return { Type: 'bind', Source, Target, ReadOnly: true, BindOptions: { Propagation: 'rprivate' } } as const;
  };
  return {
    Image: image,
    // A gateway takes up the state of a dead one only under the same host name.
    Hostname: name,
    User: user.name,
    Entrypoint: ENTRYPOINT,
    Cmd: gatewayCommand(PROGRAM),
    Labels: labels,
    Env: Object.entries(containerEnvironment(limits.memoryMb)).map(([key, value]) => `${key}=${value}`),
    WorkingDir: STATE_DIR,
    ExposedPorts: { [PORT_KEY]: {} },
    StopSignal: 'SIGTERM',
    StopTimeout: STOP_TIMEOUT_S,
    HostConfig: {
      ...hardening(limits),
      ...GIVES_WAY,
      ...(runtime !== undefined && { Runtime: runtime }),
      NetworkMode: name,
      Dns: resolvers.length === 0 ? [NO_RESOLVER] : resolvers,
      DnsSearch: ['.'],
      Sysctls: { 'net.ipv6.conf.all.disable_ipv6': '1', 'net.ipv6.conf.default.disable_ipv6': '1' },
      PortBindings: { [PORT_KEY]: [{ HostIp: '127.0.0.1', HostPort: '' }] },
      Mounts: [
        state,
        readOnly(layout.configDir, CONFIG_DIR),
        readOnly(layout.skillsDir, SKILLS_DIR),
        readOnly(user.passwdFile, '/etc/passwd'),
        readOnly(user.groupFile, '/etc/group'),
      ],
    },
  };
}
