import { z } from 'zod';
import { count, list } from './values.ts';

/** What instances get, and what they may do, in containers and Pods. */
export const instanceSettings = {
  DOCKER_SOCKET: z.string().min(1).default('/var/run/docker.sock').describe('with `docker`: the socket of the engine'),
  INSTANCE_IMAGE: z
    .string()
    .min(1)
    .optional()
    .describe('with `docker` or `kubernetes`: the image of instances; unset: the image that `npm run image:build` makes'),
  INSTANCE_RUNTIME: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, 'must be the name of a runtime that the engine knows, such as runsc')
    .optional()
    .describe(
      'with `docker` or `kubernetes`: what runs the containers of instances, such as `runsc` or `kata`; unset: the default. On Kubernetes a RuntimeClass',
    ),
  INSTANCE_FIRST_UID: z.coerce
    .number()
    .int()
    .min(10_000)
    .max(2 ** 31 - 50_001)
    .default(1_900_000_000)
    .describe(
      'with `docker` or `kubernetes`: the first of 50,000 user ids, of which each instance gets one; no other program may use these ids',
    ),
  INSTANCE_MEMORY_MB: z.coerce
    .number()
    .int()
    .min(1024)
    .default(1536)
    .describe('with `docker` or `kubernetes`: memory of one instance'),
  INSTANCE_CPUS: z.coerce.number().min(0.1).default(2).describe('with `docker` or `kubernetes`: processors of one instance'),
  INSTANCE_PIDS: z.coerce.number().int().min(64).default(512).describe('with `docker`: processes and threads of one instance'),
  INSTANCE_DISK_MB: z.coerce
    .number()
    .int()
    .min(256)
    .optional()
    .describe(
      'with `docker` or `kubernetes`: the size of the disk or claim of one instance; with `docker` taken at once from where `DATA_DIR` lies; unset: no limit, with `kubernetes` 10240',
    ),
  INSTANCE_SUBNETS: z
    .cidrv4()
    .refine((pool) => Number(pool.split('/')[1]) <= 30, 'must have room for at least one network of four addresses')
    .default('10.203.0.0/16')
    .describe('with `docker`: the address range of the networks of instances, four addresses each'),
  INSTANCE_DNS: list
    .pipe(z.array(z.ipv4()))
    .describe(
      'with `docker` or `kubernetes` and open egress: comma separated name servers of instances; unset: `1.1.1.1,8.8.8.8`',
    ),
  EGRESS: z
    .enum(['open', 'relay-only'])
    .default('open')
    .describe('with `docker` or `kubernetes`: whether instances reach the public internet, or nothing but the model relay'),
  EGRESS_MAIL: z
    .stringbool()
    .default(false)
    .describe('with `docker` or `kubernetes` and open egress: whether instances reach the ports of mail servers (25, 465, 587)'),
  INSTANCE_CONNECTIONS: count
    .max(100_000)
    .default(512)
    .describe('with `docker`: connections of one instance that are open at once; more are refused'),
  INSTANCE_CONNECTIONS_PER_SECOND: count
    .max(10_000)
    .default(50)
    .describe(
      'with `docker`: new connections of one instance in a second on average, four times as many at once; more are dropped',
    ),
};
