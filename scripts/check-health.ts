import { loadConfigOf, settingsSchema } from '../lib/settings/config.ts';

/** For health checks of containers: `check-health.ts api|worker|relay` ends with 0 when that part is ready. */
const asked = { HOST: true, PORT: true, METRICS_HOST: true, METRICS_PORT: true, RELAY_HOST: true, RELAY_PORT: true } as const;
const config = loadConfigOf(settingsSchema.pick(asked), process.env);
const addresses: Record<string, [host: string, port: number]> = {
  api: [config.HOST, config.PORT],
  // The metrics of the worker are one port after those of the API.
  worker: [config.METRICS_HOST, config.METRICS_PORT + 1],
  relay: [config.RELAY_HOST, config.RELAY_PORT],
};
const [host, port] = addresses[process.argv[2] ?? ''] ?? ['', 0];
const response = await fetch(`http://${host === '0.0.0.0' ? '127.0.0.1' : host}:${port}/readyz`);
process.exitCode = response.ok ? 0 : 1;
