import { randomBytes } from 'node:crypto';
import { createOrm, createReservedOrm } from '../database/orm.ts';
import { createIdMaker } from '../domain/ids.ts';
import { SLEEP_PACE } from '../domain/sleep.ts';
import type { SleepPace } from '../domain/sleep.ts';
import { cacheDirOf } from '../lib/cache-dir.ts';
import type { ConfigOf } from '../lib/settings/config.ts';
import type { Log } from '../lib/log.ts';
import { createDriver } from '../runtime/create-driver.ts';
import { driverWarnings } from '../runtime/driver-warnings.ts';
import { checkMachine } from '../runtime/docker/check-machine.ts';
import { checkCluster } from '../runtime/kubernetes/check-cluster.ts';
import { clusterOf } from '../runtime/kubernetes/open-kubernetes.ts';
import { ensureOpenClaw } from '../runtime/engine.ts';
import { checkStores, refuseForeignVolumes } from '../stores/check-stores.ts';
import { bundleApart } from './temporal/bundle-apart.ts';
import { startWorker } from './start-worker.ts';
import { installTemporalLogging } from './temporal/temporal-logging.ts';

interface Run {
  config: ConfigOf<'worker'>;
  env: NodeJS.ProcessEnv;
  log: Log;
  /** By default SLEEP_PACE. */
  sleepPace?: SleepPace;
}

/** Runs a worker until the process is asked to end. Throws ConfigError, and what its stores say. */
export async function runWorker({ config, env, log, sleepPace = SLEEP_PACE }: Run): Promise<void> {
  for (const warning of driverWarnings(config)) log.warn(warning);
  const orm = await createOrm(config.DATABASE_URL);
  const installationId = await checkStores(orm.em.fork(), { config, randomBytes });
  if (config.RUNTIME === 'docker') {
    await refuseForeignVolumes(config, installationId);
    for (const warning of await checkMachine(config)) log.warn(warning);
  }
  if (config.RUNTIME === 'kubernetes')
    for (const warning of await checkCluster(clusterOf(config, installationId))) log.warn(warning);
  const cacheDir = cacheDirOf(env);
  const onProgress = (sentence: string): void => log.info(sentence);
  // In containers it is part of their image.
  const openclaw = config.RUNTIME === 'process' ? await ensureOpenClaw({ cacheDir, env, onProgress }) : null;
  const driver = createDriver({ ...config, installationId }, openclaw && { openclaw, cacheDir, node: process.execPath });
  installTemporalLogging(log);
  const reserved = await createReservedOrm(config.DATABASE_URL);
  const makeId = createIdMaker(randomBytes);
  const worker = await startWorker({
    config,
    installationId,
    orm,
    reserved,
    driver,
    makeId,
    random: Math.random,
    bundle: () => bundleApart(cacheDir),
    log,
    sleepPace,
  });
  log.info('the worker is running');

  let isEnding = false;
  const end = async (gateways: 'keep' | 'stop'): Promise<void> => {
    if (isEnding) return;
    isEnding = true;
    log.info({ gateways }, 'the worker is stopping');
    await worker.end({ gateways }).catch((err: unknown) => log.error({ err }, 'the worker could not shut down cleanly'));
    // Whatever of Temporal's library still waits for a server that is away.
    process.exit(0);
  };
  process.on('SIGTERM', () => void end('keep'));
  process.on('SIGINT', () => void end('stop'));
}
