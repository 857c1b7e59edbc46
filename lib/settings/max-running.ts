import { totalmem } from 'node:os';

/** The memory that is kept for what runs on the machine beside the instances. */
const RESERVED_MB = { process: 2_048, docker: 3_072 };
/** What a gateway takes as a plain process, which has no memory limit. */
const PROCESS_MB = 1_024;
const MEBIBYTE = 1024 ** 2;

interface Machine {
  RUNTIME: 'process' | 'docker';
  INSTANCE_MEMORY_MB: number;
}

/** How many gateways the memory of this machine holds when each takes all that it may; at least one. */
export function defaultMaxRunning({ RUNTIME, INSTANCE_MEMORY_MB }: Machine, totalBytes = totalmem()): number {
  const each = RUNTIME === 'docker' ? INSTANCE_MEMORY_MB : PROCESS_MB;
  return Math.max(1, Math.floor((totalBytes / MEBIBYTE - RESERVED_MB[RUNTIME]) / each));
}
