import { createLog } from '../../lib/log.ts';
import { loadConfigOf, SETTINGS_OF } from '../../lib/settings/config.ts';
import { runWorker } from '../../worker/run-worker.ts';

// A worker whose instances fall asleep though a job is due soon, so that tests need not wait for minutes.
const config = loadConfigOf(SETTINGS_OF.worker, process.env);
await runWorker({
  config,
  env: process.env,
  log: createLog('worker', config.LOG_LEVEL),
  sleepPace: { everyMs: 200, leastRestMs: 8_000, leastLeadMs: 6_000, suspendedLaterMs: 1_000 },
});
