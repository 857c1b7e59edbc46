import { totalmem } from 'node:os';

/** The memory that is kept for what runs on the machine beside the instances. */
const RESERVED_MB = { process: 2_048, docker: 3_072 };
/** What a gateway takes as a plain process, which has no memory limit. */
const PROCESS_MB = 1_024;
const MEBIBYTE = 1024 ** 2;

interface Machine {
  RUNTIME: 'process' | 'docker' | 'kubernetes';
  INSTANCE_MEMORY_MB: number;
}

/** A cluster says itself when it has no room: of each instance, and with the reason. */
const ON_A_CLUSTER = 1_000_000;

/** The most memory that one gateway takes on a machine, in MiB. */
export function gatewayMemoryMb({ RUNTIME, INSTANCE_MEMORY_MB }: Machine): number {
  return RUNTIME === 'docker' ? INSTANCE_MEMORY_MB : PROCESS_MB;
}

/** How many gateways the memory of this machine holds when each takes all that it may; at least one. A cluster has no such bound. */
export function defaultMaxRunning(machine: Machine, totalBytes = totalmem()): number {
  const { RUNTIME } = machine;
  if (RUNTIME === 'kubernetes') return ON_A_CLUSTER;
  return Math.max(1, Math.floor((totalBytes / MEBIBYTE - RESERVED_MB[RUNTIME]) / gatewayMemoryMb(machine)));
}

interface Capacity {
  MAX_RUNNING: number;
  POOL_SIZE: number;
}

/** What was set of these, and for the rest what suits the machine: no pool where its memory holds a single gateway. */
export function capacityOf(given: Machine & { [Name in keyof Capacity]?: number | undefined }): Capacity {
  const { MAX_RUNNING = defaultMaxRunning(given), POOL_SIZE = MAX_RUNNING > 1 ? 1 : 0 } = given;
  return { MAX_RUNNING, POOL_SIZE };
}
