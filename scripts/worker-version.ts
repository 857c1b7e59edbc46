import { Client } from '@temporalio/client';
import { loadConfigOf, settingsSchema } from '../lib/settings/config.ts';
import { createLog } from '../lib/log.ts';
import { openTemporalLink } from '../worker/temporal/temporal-link.ts';
import { handOver, listWorkerVersions, makeCurrent } from '../worker/temporal/worker-versions.ts';

/**
 * Which build of the workers begins new runs:
 *
 *   npm run worker:version                     lists the builds and the runs that each of them has open
 *   npm run worker:version current <build>     new runs begin with this build, as soon as its workers are there
 *   npm run worker:version hand-over <build>   its open runs go on with the current build: its workers will not come back
 */
const PATIENCE_MS = 120_000;
const [command = 'list', buildId] = process.argv.slice(2);

const config = loadConfigOf(settingsSchema.pick({ TEMPORAL_ADDRESS: true, TEMPORAL_NAMESPACE: true }), process.env);
const link = openTemporalLink(config, createLog('worker-version', 'warn'));
try {
  const connection = await link.connected(AbortSignal.timeout(PATIENCE_MS));
  await run(new Client({ connection, namespace: config.TEMPORAL_NAMESPACE }));
} finally {
  await link.close();
}

async function run(client: Client): Promise<void> {
  if (command === 'list') return say(await listed(client));
  if (buildId === undefined) return refuse('Give the id of the build.');
  if (command === 'current') {
    await makeCurrent(client, buildId, PATIENCE_MS);
    return say(`New workflow runs use the build ${buildId}.`);
  }
  if (command === 'hand-over')
    return say(`Workflow runs that continue with the current build: ${await handOver(client, buildId)}.`);
  refuse(`Unknown command ${command}. Use list, current <build> or hand-over <build>.`);
}

async function listed(client: Client): Promise<string> {
  const versions = await listWorkerVersions(client);
  if (versions.length === 0) return 'No worker with a WORKER_BUILD_ID has worked for this namespace.';
  const rows = versions.map((version) => `${version.buildId}: ${version.openRuns} open${version.isCurrent ? ', current' : ''}`);
  return rows.join('\n');
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

function refuse(reason: string): void {
  process.stderr.write(`${reason}\n`);
  process.exitCode = 1;
}
