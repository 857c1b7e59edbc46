import type { Client } from '@temporalio/client';
import { SearchAttributeType, defineSearchAttributeKey } from '@temporalio/common';
import type { OutboxRow } from '../../database/processes/claim-outbox.ts';
import { TASK_QUEUES } from '../../domain/temporal/task-queues.ts';
import type { TaskQueue } from '../../domain/temporal/task-queues.ts';
import {
  DELIVER_WEBHOOK,
  instanceWorkflowId,
  instanceWorkflowSummary,
  RECONCILE_INSTANCE,
  WAKE_SIGNAL,
  webhookWorkflowId,
  webhookWorkflowSummary,
} from '../../domain/temporal/workflow-ids.ts';

const ACCOUNT_ID = defineSearchAttributeKey('AccountId', SearchAttributeType.KEYWORD);
const INSTANCE_ID = defineSearchAttributeKey('InstanceId', SearchAttributeType.KEYWORD);

/** The id of the workflow that a row of the outbox wakes. */
export function workflowIdOf({ workflow, subjectId }: OutboxRow): string {
  return workflow === DELIVER_WEBHOOK ? webhookWorkflowId(subjectId) : instanceWorkflowId(subjectId);
}

/** Signals the workflow of a row, and starts it where it is not open. */
export async function wakeWorkflow(client: Client, row: OutboxRow, timeoutMs: number): Promise<void> {
  // The instance or webhook does not exist any more, or a run that is delivering for the webhook will look again.
  if (row.accountId === null || row.isDrained) return;
  const { type, instanceId, ...start } = row.workflow === DELIVER_WEBHOOK ? deliver(row) : reconcile(row);
  const typedSearchAttributes = [
    { key: ACCOUNT_ID, value: row.accountId },
    ...(instanceId === null ? [] : [{ key: INSTANCE_ID, value: instanceId }]),
  ];
  // Where tasks wait in a queue, accounts take turns.
  const priority = { fairnessKey: row.accountId };
  const options = { ...start, workflowId: workflowIdOf(row), signal: WAKE_SIGNAL, typedSearchAttributes, priority };
  await client.withDeadline(Date.now() + timeoutMs, () => client.workflow.signalWithStart(type, options));
}

interface Start {
  type: string;
  taskQueue: TaskQueue;
  args: [Record<string, string>];
  staticSummary: string;
  /** For the search attribute; null: it is about no single instance. */
  instanceId: string | null;
}

function reconcile({ subjectId: instanceId }: OutboxRow): Start {
  const staticSummary = instanceWorkflowSummary(instanceId);
  return { type: RECONCILE_INSTANCE, taskQueue: TASK_QUEUES.lifecycle, args: [{ instanceId }], staticSummary, instanceId };
}

function deliver({ subjectId: webhookId }: OutboxRow): Start {
  const staticSummary = webhookWorkflowSummary(webhookId);
  return { type: DELIVER_WEBHOOK, taskQueue: TASK_QUEUES.webhooks, args: [{ webhookId }], staticSummary, instanceId: null };
}
