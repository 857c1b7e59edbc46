import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Client, Connection } from '@temporalio/client';
import { NativeConnection, Worker } from '@temporalio/worker';
import { pino } from 'pino';
import { TASK_QUEUES } from '../../domain/temporal/task-queues.ts';
import { instanceWorkflowId, RECONCILE_INSTANCE } from '../../domain/temporal/workflow-ids.ts';
import { bundleWorkflows } from '../../worker/temporal/temporal-workers.ts';
import { makeId } from '../factories.ts';
import { createTestNamespace } from '../support/test-temporal.ts';

/** More rounds than one run has. */
const ROUNDS = 210;

let connection: Connection;
let native: NativeConnection;
let namespace: string;

beforeAll(async () => {
  const temporal = await createTestNamespace();
  ({ namespace } = temporal);
  connection = await Connection.connect({ address: temporal.address });
  native = await NativeConnection.connect({ address: temporal.address });
});
afterAll(async () => {
  await connection.close();
  await native.close();
});

test('a run that always has more to do begins anew, and loses nothing', async () => {
  const client = new Client({ connection, namespace });
  const instanceId = makeId('inst');
  let rounds = 0;
  const applied = new Set<string>();
  const worker = await Worker.create({
    ...{ connection: native, namespace, taskQueue: TASK_QUEUES.lifecycle },
    workflowBundle: await bundleWorkflows(pino({ level: 'silent' })),
    activities: {
      async readTarget() {
        rounds += 1;
        const step = rounds > ROUNDS ? 'none' : 'apply';
        return { step, accountId: makeId('acc'), powerGeneration: 0, contentGeneration: rounds, waitMs: 0, nodeId: null };
      },
      async applyContent(asked: { instanceId: string }) {
        applied.add(asked.instanceId);
      },
    },
  });
  const workflowId = instanceWorkflowId(instanceId);
  await worker.runUntil(async () => {
    const options = { workflowId, taskQueue: TASK_QUEUES.lifecycle, args: [{ instanceId }] };
    const { firstExecutionRunId } = await client.workflow.start(RECONCILE_INSTANCE, options);
    await client.workflow.getHandle(workflowId).result();
    const first = await client.workflow.getHandle(workflowId, firstExecutionRunId).describe();
    const last = await client.workflow.getHandle(workflowId).describe();
    expect([first.status.name, last.status.name]).toEqual(['CONTINUED_AS_NEW', 'COMPLETED']);
    expect(last.runId).not.toBe(firstExecutionRunId);
  });
  expect(rounds).toBe(ROUNDS + 1);
  expect([...applied]).toEqual([instanceId]);
});
