import { startDelivering } from '../support/delivering.ts';

/** The delivering part of a worker as a process of its own, for tests that kill it. */
const env = (name: string): string => process.env[name] ?? '';

await startDelivering({
  databaseUrl: env('DATABASE_URL'),
  temporal: { address: env('TEMPORAL_ADDRESS'), namespace: env('TEMPORAL_NAMESPACE') },
  masterKey: Buffer.from(env('MASTER_KEY'), 'base64'),
});
process.stdout.write('delivering\n');
