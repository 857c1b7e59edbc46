import { OF_KUBERNETES } from './kubernetes.ts';

/** The settings of what runs instances. The API has no access to it, and reads none of them. */
export const OF_RUNTIME = {
  DATA_DIR: true,
  WORKER_HOST: true,
  WORKER_PORT: true,
  POOL_SIZE: true,
  SUSPEND: true,
  DEEP_SLEEP_AFTER_MS: true,
  NODE_NAME: true,
  DOCKER_SOCKET: true,
  EGRESS: true,
  EGRESS_MAIL: true,
  RELAY_HOST: true,
  RELAY_PORT: true,
  INSTANCE_IMAGE: true,
  INSTANCE_RUNTIME: true,
  INSTANCE_FIRST_UID: true,
  INSTANCE_MEMORY_MB: true,
  INSTANCE_CPUS: true,
  INSTANCE_PIDS: true,
  INSTANCE_DISK_MB: true,
  INSTANCE_SUBNETS: true,
  INSTANCE_DNS: true,
  INSTANCE_CONNECTIONS: true,
  INSTANCE_CONNECTIONS_PER_SECOND: true,
  ...OF_KUBERNETES,
} as const;
