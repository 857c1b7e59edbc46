import { createBackground } from '../lib/async/background.ts';
import { systemClock } from '../lib/async/clock.ts';
import { ConfigError, loadConfigOf, SETTINGS_OF } from '../lib/settings/config.ts';
import type { ConfigOf } from '../lib/settings/config.ts';
import { startHttpServer } from '../lib/net/http-server.ts';
import { refuseKeys } from '../lib/crypto/key-canary.ts';
import { createLog } from '../lib/log.ts';
import type { Log } from '../lib/log.ts';
import { createMetrics, startMetricsServer } from '../lib/metrics.ts';
import { relayKeys } from '../runtime/openclaw/install/tokens.ts';
import type { MasterKey } from '../runtime/openclaw/install/tokens.ts';
import { createKnownAgents } from './known-agents.ts';
import { createOpenCalls } from './open-calls.ts';
import { createRelayMetrics } from './relay-metrics.ts';
import { createRelayListener } from './server.ts';
import { createRelayStore } from './store.ts';
import type { RelayStore } from './store.ts';
import { bodyLimits } from './chat-request.ts';
import { allProviders, setUpRoutes } from './routes/set-up-routes.ts';
import { createTroubleNotes } from './routes/trouble-notes.ts';

type RelayConfig = ConfigOf<'relay'>;

/** The API has METRICS_PORT itself, the worker the one after it. */
const METRICS_PORT_OFFSET = 2;
/** What providers that are busy or away get to come back before a call fails. */
const PATIENCE = { budgetMs: 30_000, firstPauseMs: 250, firstByteMs: 60_000 };
/** For one model call in all, its tries and its whole answer. A gateway gives up before that; one that hangs does not. */
const CALL_MS = 900_000;
/** Model calls that are under way at a stop have this long to end. */
const DRAIN_MS = 30_000;

/** Runs the relay until SIGTERM or SIGINT. What keeps it from starting is written to stderr; then the process ends with 1. */
export async function start(env: NodeJS.ProcessEnv): Promise<void> {
  try {
    const config = loadConfigOf(SETTINGS_OF.relay, env);
    await run(config, createLog('relay', config.LOG_LEVEL));
  } catch (error) {
    process.stderr.write(`${error instanceof ConfigError ? error.message : String(error)}\n`);
    process.exit(1);
  }
}

async function run(config: RelayConfig, log: Log): Promise<void> {
  const registry = createMetrics('relay');
  const store = createRelayStore(config.DATABASE_URL, log);
  const keys = keysOf(config);
  await checkKeys(store, keys, log);
  const metrics = createRelayMetrics(registry);
  const notes = createTroubleNotes(store, log);
  const routes = await setUpRoutes(
    { models: config.MODELS, providers: allProviders(config) },
    {
      patience: { ...PATIENCE, monotonicMs: () => performance.now(), random: Math.random },
      metrics,
      onChange: (target, open) => notes.note(target, open),
      log,
    },
  );
  const background = createBackground();
  const deps = {
    config,
    keys,
    store,
    findAgent: createKnownAgents(store, systemClock),
    openCalls: createOpenCalls(),
    routes,
    metrics,
    ...bodyLimits(config.RELAY_MAX_BODY_MB * 1024 ** 2),
    callMs: CALL_MS,
    clock: systemClock,
    log,
  };
  const stop = new AbortController();
  const listener = createRelayListener(deps, background, stop.signal);
  const server = await startHttpServer(listener, { host: config.RELAY_HOST, port: config.RELAY_PORT });
  const metricsServer = await startMetricsServer(registry, {
    host: config.METRICS_HOST,
    port: config.METRICS_PORT + METRICS_PORT_OFFSET,
  });
  log.info({ port: server.port, metricsPort: metricsServer.port }, 'the model relay is listening');

  const drain = async (): Promise<void> => {
    stop.abort();
    await server.drain(DRAIN_MS);
    await background.idle();
    await notes.idle();
    await Promise.all([routes.close(), store.close(), metricsServer.drain(0)]);
    log.info('the model relay has stopped');
  };
  for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, () => void drain());
}

function keysOf({ RELAY_KEYS, MASTER_KEYS }: RelayConfig): readonly MasterKey[] {
  if (RELAY_KEYS) return RELAY_KEYS;
  if (MASTER_KEYS) return relayKeys(MASTER_KEYS);
  throw new ConfigError('RELAY_KEYS is missing. Make it from MASTER_KEYS with "npm run relay:keys".');
}

/** Throws ConfigError when the database was used with other keys: the relay would refuse the token of every agent. */
async function checkKeys(store: RelayStore, keys: readonly MasterKey[], log: Log): Promise<void> {
  const canaries = await store.findCanaries().catch((err: unknown) => {
    log.warn({ err }, 'the relay could not check RELAY_KEYS against the database');
    return {};
  });
  const refusal = refuseKeys(keys, canaries);
  if (refusal === null) return;
  throw new ConfigError(`${refusal} (RELAY_KEYS are made from MASTER_KEYS: "npm run relay:keys", or deploy/prepare.sh.)`);
}
