import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Client, Connection } from '@temporalio/client';
import { TASK_QUEUES } from '../../domain/temporal/task-queues.ts';
import { RECONCILE_INSTANCE } from '../../domain/temporal/workflow-ids.ts';
import type { OutboxRow } from '../../database/processes/claim-outbox.ts';
import { wakeWorkflow } from '../../worker/temporal/wake-workflow.ts';
import { makeId } from '../factories.ts';
import { createTestNamespace } from '../support/test-temporal.ts';
import { TEST_LIMIT_MS } from '../support/eventually.ts';

const MANY = 20;

let connection: Connection;
let client: Client;
let namespace: string;

beforeAll(async () => {
  const temporal = await createTestNamespace();
  ({ namespace } = temporal);
  connection = await Connection.connect({ address: temporal.address });
  client = new Client({ connection, namespace });
});
afterAll(() => connection.close());

async function wake(accountId: string): Promise<string> {
  const subjectId = makeId('inst');
  const row: OutboxRow = { id: 1, workflow: RECONCILE_INSTANCE, subjectId, accountId, isUnstarted: false, isDrained: false };
  await wakeWorkflow(client, row, TEST_LIMIT_MS);
  return subjectId;
}

/** The workflow whose task waits next. */
async function nextTask(): Promise<string | null | undefined> {
  const request = { namespace, taskQueue: { name: TASK_QUEUES.lifecycle }, identity: 'fair-queues' };
  const task = await client.withDeadline(Date.now() + TEST_LIMIT_MS, () => client.workflowService.pollWorkflowTaskQueue(request));
  return task.workflowExecution?.workflowId;
}

test('what one account has waiting in a task queue does not keep another one waiting that comes later', async () => {
  for (let count = 0; count < MANY; count += 1) await wake('acc_many');
  const single = await wake('acc_single');
  const first = [await nextTask(), await nextTask(), await nextTask(), await nextTask()];
  expect(first.filter((workflowId) => workflowId?.includes(single))).toHaveLength(1);
});
