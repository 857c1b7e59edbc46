import { cronPages, cronRunPages } from '../../runtime/openclaw/content/crons.ts';
import type { CronJob, CronRun } from '../../runtime/gateway/gateway-jobs.ts';
import type { GatewayClient } from '../../runtime/openclaw/wire/gateway-client.ts';

/** Every job of a gateway. */
export async function listCrons(client: GatewayClient): Promise<CronJob[]> {
  const jobs: CronJob[] = [];
  for await (const page of cronPages(client)) jobs.push(...page.jobs);
  return jobs;
}

/** What the jobs of a gateway did, the last first. */
export async function listCronRuns(client: GatewayClient): Promise<CronRun[]> {
  const runs: CronRun[] = [];
  for await (const page of cronRunPages(client)) runs.push(...page.runs);
  return runs;
}
