import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from '@temporalio/client';
import { GRPC, grpcCodeOf } from './grpc-code.ts';
import { DEPLOYMENT_NAME } from './temporal-workers.ts';

const POLL_MS = 500;
/** Temporal does not know this build yet, or not all of its task queues. */
const NOT_YET: readonly (number | null)[] = [GRPC.notFound, GRPC.failedPrecondition];

export interface WorkerVersion {
  buildId: string;
  /** New runs begin with it. */
  isCurrent: boolean;
  /** Runs that it began and that are not over: its workers may end when there are none. */
  openRuns: number;
}

/** The builds of our workers that Temporal knows, the newest first. */
export async function listWorkerVersions({ workflowService, workflow, options }: Client): Promise<WorkerVersion[]> {
  const { namespace } = options;
  const { workerDeploymentInfo: known } = await workflowService
    .describeWorkerDeployment({ namespace, deploymentName: DEPLOYMENT_NAME })
    .catch(unlessUnknown);
  const current = known?.routingConfig?.currentDeploymentVersion?.buildId;
  const builds = (known?.versionSummaries ?? []).flatMap(({ deploymentVersion }) => deploymentVersion?.buildId ?? []);
  return Promise.all(
    builds.map(async (buildId) => {
      const { count } = await workflow.count(openRunsOf(buildId));
      return { buildId, isCurrent: buildId === current, openRuns: count };
    }),
  );
}

/**
 * Has new runs begin with this build, once its workers poll every task queue that those of the build before poll. Runs
 * that are open stay with theirs. Rejects with Temporal's reason when that has not come about within this time.
 */
export async function makeCurrent({ workflowService, options }: Client, buildId: string, withinMs: number): Promise<void> {
  const giveUp = AbortSignal.timeout(withinMs);
  const { namespace } = options;
  for (;;) {
    try {
      await workflowService.setWorkerDeploymentCurrentVersion({ namespace, deploymentName: DEPLOYMENT_NAME, buildId });
      return;
    } catch (error) {
      if (giveUp.aborted || !NOT_YET.includes(grpcCodeOf(error))) throw error;
    }
    await sleep(POLL_MS);
  }
}

/**
 * Gives the open runs of a build whose workers will not come back to the current one, and answers how many. Only what
 * replays there goes on: test/workflows/recorded-histories.test.ts says whether that holds between two builds.
 */
export async function handOver({ workflowService, workflow, options }: Client, buildId: string): Promise<number> {
  let moved = 0;
  for await (const { workflowId, runId } of workflow.list({ query: openRunsOf(buildId) })) {
    await workflowService.updateWorkflowExecutionOptions({
      namespace: options.namespace,
      workflowExecution: { workflowId, runId },
      workflowExecutionOptions: { versioningOverride: { autoUpgrade: true } },
      updateMask: { paths: ['versioning_override'] },
    });
    moved += 1;
  }
  return moved;
}

function openRunsOf(buildId: string): string {
  return `TemporalWorkerDeploymentVersion = '${DEPLOYMENT_NAME}:${buildId}' and ExecutionStatus = 'Running'`;
}

function unlessUnknown(error: unknown): { workerDeploymentInfo?: null } {
  if (grpcCodeOf(error) !== GRPC.notFound) throw error;
  return {};
}
