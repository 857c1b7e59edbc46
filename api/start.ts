import { randomBytes } from 'node:crypto';
import { findGatewayAddress } from '../database/instances/gateway-address.ts';
import { listenToNotifications } from '../database/notifications.ts';
import { createOrm, createReservedOrm } from '../database/orm.ts';
import { createIdMaker } from '../domain/ids.ts';
import { EXPORTS } from './operations/account/export-account.ts';
import { createShares } from '../lib/async/shares.ts';
import { createBackground } from '../lib/async/background.ts';
import { cacheDirOf } from '../lib/cache-dir.ts';
import { systemClock } from '../lib/async/clock.ts';
import { ConfigError, loadConfigOf, SETTINGS_OF } from '../lib/settings/config.ts';
import type { ConfigOf } from '../lib/settings/config.ts';
import { startHttpServer } from '../lib/net/http-server.ts';
import type { HttpServer } from '../lib/net/http-server.ts';
import { createLog } from '../lib/log.ts';
import type { Log } from '../lib/log.ts';
import { createMail } from '../lib/net/mail.ts';
import { createMetrics, startMetricsServer } from '../lib/metrics.ts';
import { skillHost } from '../runtime/skill-host.ts';
import { createSkillCatalogue } from '../runtime/engine.ts';
import { checkDatabase } from '../stores/check-stores.ts';
import { createGatewayConnections } from '../runtime/gateway-connections.ts';
import { createProcessLease } from '../turns/process-lease.ts';
import { turnSettings } from '../turns/turn-deps.ts';
import { createTurnSender } from '../turns/turn-sender.ts';
import { readBuiltConsole } from './console/console-files.ts';
import { startChores } from './chores.ts';
import type { Deps } from './deps.ts';
import { createRequestMetrics } from './observe/api-metrics.ts';
import { createApp } from './http/app.ts';
import { createExplainUnparsed } from './http/explain-unparsed.ts';
import { createLoginCodes } from './security/login-code.ts';
import { createReadLog } from './read-log.ts';
import { operations } from './operations/index.ts';
import { createTemporalProbe } from './observe/probe-temporal.ts';
import { createTokens } from './security/tokens.ts';
import { createWorkerFiles } from './worker-files.ts';

/** How long requests that are under way may take to end when the process is told to stop. */
const GRACE_MS = 10_000;
/** More than two accounts can hold with all their calls. */
const CONNECTIONS = 20;
/** More than the calls of an account that are at work hold. What waits for an agent or a worker needs some too, now and then. */
const CONNECTIONS_OF_ACCOUNT = { atOnce: 12, shared: 4 };

/** Runs the API with the settings of this environment until a signal ends it. What keeps it from starting is printed. */
export async function start(env: Record<string, string | undefined>): Promise<void> {
  try {
    const config = loadConfigOf(SETTINGS_OF.api, env);
    await run(config, env, createLog('api', config.LOG_LEVEL));
  } catch (error) {
    process.stderr.write(`${error instanceof ConfigError ? error.message : String(error)}\n`);
    process.exit(1);
  }
}

async function run(config: ConfigOf<'api'>, env: Record<string, string | undefined>, log: Log): Promise<void> {
  const orm = await createOrm(config.DATABASE_URL, { connections: CONNECTIONS, ofAccount: CONNECTIONS_OF_ACCOUNT });
  await checkDatabase(orm.em.fork(), { config, randomBytes });
  const reserved = await createReservedOrm(config.DATABASE_URL);
  const makeId = createIdMaker(randomBytes);
  const background = createBackground();
  const notifications = listenToNotifications(config.DATABASE_URL, log);
  const shutdown = new AbortController();

  const endpoints = { endpoint: (runtimeId: string) => findGatewayAddress(orm.em.fork(), runtimeId) };
  const connections = createGatewayConnections({ endpoints, masterKeys: config.MASTER_KEYS, log });
  const lease = createProcessLease({ orm: reserved, kind: 'api', makeId, log });
  await lease.start();
  const turnDeps = { orm, makeId, clock: systemClock, log, ...turnSettings(config) };
  const turnSender = createTurnSender({ ...turnDeps, connections, lease, notifications });

  const deps = {
    config,
    orm,
    clock: systemClock,
    randomBytes,
    makeId,
    log,
    mail: createMail({ url: config.SMTP_URL, from: config.MAIL_FROM, log }),
    tokens: createTokens({ masterKeys: config.MASTER_KEYS, clock: systemClock, makeId }),
    loginCodes: createLoginCodes(config.MASTER_KEYS, randomBytes),
    background,
    notifications,
    readLog: createReadLog({ masterKeys: config.MASTER_KEYS, log }),
    exports: createShares(EXPORTS),
    files: createWorkerFiles({ orm, masterKeys: config.MASTER_KEYS, log }),
    connections,
    skillCatalogue: createSkillCatalogue(await skillHost(config, { cacheDir: cacheDirOf(env), node: process.execPath })),
    turnSender,
    probeTemporal: createTemporalProbe(config.TEMPORAL_ADDRESS, config.temporalEnv),
    shutdown: shutdown.signal,
  };

  const registry = createMetrics('api');
  const app = createApp(deps, {
    operations,
    metrics: createRequestMetrics(registry, deps.probeTemporal),
    healthEm: reserved.em,
    consoleFiles: await readBuiltConsole(log),
  });
  const server = await listen(app, deps);
  const chores = startChores(deps);
  const metricsServer = await startMetricsServer(registry, { host: config.METRICS_HOST, port: config.METRICS_PORT });
  log.info({ host: config.HOST, port: server.port }, 'the API is listening');

  const drain = async (): Promise<void> => {
    log.info('the API is draining');
    shutdown.abort();
    await server.drain(GRACE_MS);
    await chores.stop();
    await background.idle();
    // No request can come any more. Turns that were accepted and not sent are taken over by other processes.
    await turnSender.stop();
    await lease.stop();
    connections.closeAll();
    await notifications.close();
    await metricsServer.drain(0);
    await Promise.all([orm.close(), reserved.close()]);
    log.info('the API has stopped');
  };
  let draining: Promise<void> | undefined;
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => void (draining ??= drain()));
}

/** Answers requests from here on, those that are not valid HTTP too. */
async function listen(app: ReturnType<typeof createApp>, deps: Deps): Promise<HttpServer> {
  const listener = app.callback();
  return startHttpServer((request, response) => void listener(request, response), {
    host: deps.config.HOST,
    port: deps.config.PORT,
    explainUnparsed: createExplainUnparsed(deps),
  });
}
