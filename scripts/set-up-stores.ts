import { randomBytes } from 'node:crypto';
import { Client } from '@temporalio/client';
import { grantRoles } from '../database/grant-roles.ts';
import type { RoleUrls } from '../database/grant-roles.ts';
import { migrate } from '../database/migrate.ts';
import { ConfigError, loadConfigOf, SETTINGS_OF } from '../lib/settings/config.ts';
import { createLog } from '../lib/log.ts';
import { checkStores, refuseStores } from '../stores/check-stores.ts';
import { ensureTemporalSetup, updateSchedules } from '../worker/temporal/schedules.ts';
import { openTemporalLink } from '../worker/temporal/temporal-link.ts';

/**
 * Brings both stores to this version, before its processes start: migrates the database, makes the users of its processes
 * where they are given, and makes namespace, search
 * attributes and schedules in Temporal. A database that does not belong to DATA_DIR and MASTER_KEYS is refused. Safe to repeat, and while processes of the version before still run.
 */
const PATIENCE_MS = 120_000;
const PAUSE_MS = 1_000;

const config = loadConfigOf(SETTINGS_OF['set-up'], process.env);
const stores = { config, randomBytes };
const urls = roleUrls();
await migrate(config.DATABASE_URL, {
  before: (em) => refuseStores(em, stores),
  async after(em) {
    await checkStores(em, stores);
    if (urls) await grantRoles(em, { urls, randomBytes });
  },
});
process.stdout.write(`The database is up to date${urls ? ', and API, worker and relay have their users' : ''}.\n`);

const link = openTemporalLink(config, createLog('set-up-stores', 'warn'));
try {
  const giveUp = AbortSignal.timeout(PATIENCE_MS);
  const connection = await link.connected(giveUp);
  const { namespace } = link;
  const client = new Client({ connection, namespace });
  // A namespace that was just made is not known everywhere at once.
  await until(giveUp, () => ensureTemporalSetup({ connection, client, namespace }));
  await updateSchedules({ connection, client });
  process.stdout.write(`Temporal has the namespace ${namespace} with its search attributes and schedules.\n`);
} finally {
  await link.close();
}

function roleUrls(): RoleUrls | null {
  const { API_DATABASE_URL: api, WORKER_DATABASE_URL: worker, RELAY_DATABASE_URL: relay } = config;
  if (api !== undefined && worker !== undefined && relay !== undefined) return { api, worker, relay };
  if (api ?? worker ?? relay)
    throw new ConfigError('Set API_DATABASE_URL, WORKER_DATABASE_URL and RELAY_DATABASE_URL, or none of them.');
  return null;
}

async function until(giveUp: AbortSignal, work: () => Promise<void>): Promise<void> {
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (giveUp.aborted) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
}
