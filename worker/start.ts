import { ConfigError, loadConfigOf, SETTINGS_OF } from '../lib/settings/config.ts';
import { createLog } from '../lib/log.ts';
import { runWorker } from './run-worker.ts';

/** Runs the worker with the settings of this environment until a signal ends it. What keeps it from starting is printed. */
export async function start(env: NodeJS.ProcessEnv): Promise<void> {
  try {
    const config = loadConfigOf(SETTINGS_OF.worker, env);
    await runWorker({ config, env, log: createLog('worker', config.LOG_LEVEL) });
  } catch (error) {
    process.stderr.write(`${error instanceof ConfigError ? error.message : String(error)}\n`);
    process.exit(1);
  }
}
