import type { GatewayJobs } from '../gateway/gateway.ts';
import { addCron, cronPages, cronRunPages, removeCron, runCron, updateCron } from './content/crons.ts';
import { fullTextOfRun, replyToReminder } from './conversation/run-text.ts';
import type { GatewayClient } from './wire/gateway-client.ts';
import { withinWriteLimit } from './wire/write-limit.ts';

/** OpenClaw's scheduler behind the interface of a gateway. */
export function jobsOf(client: GatewayClient): GatewayJobs {
  return {
    add: (job) => addCron(client, job),
    update: (jobId, changes) => updateCron(client, jobId, changes),
    remove: (jobId) => removeCron(client, jobId),
    removePatiently: (jobId, signal) => withinWriteLimit(() => removeCron(client, jobId), signal),
    run: (jobId) => runCron(client, jobId),
    pages: () => cronPages(client),
    runPages: () => cronRunPages(client),
    textOf: (run, heard) => fullTextOfRun(client, run, heard),
    replyToReminder: (run, gatewayAgentId) => replyToReminder(client, gatewayAgentId, run),
  };
}
