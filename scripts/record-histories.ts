import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import proto from '@temporalio/proto';
import { closeTestRun, openTestRun } from '../test/support/test-run.ts';
import { runDeliveryShapes } from '../test/workflows/delivery-shapes.ts';
import type { RecordRun } from '../test/workflows/delivery-shapes.ts';
import { HISTORIES_DIR } from '../test/workflows/recorded-shapes.ts';
import { runShapes } from '../test/workflows/shapes.ts';

// Records the history of every control flow anew, from real runs (PostgreSQL, Temporal, an OpenClaw gateway). Record
// only when a workflow's commands were changed on purpose: a history that does not replay any more means that runs
// which are open during the next deployment would break.

await openTestRun();
try {
  await mkdir(HISTORIES_DIR, { recursive: true });
  const record: RecordRun = async (shape, { workflowId, runId }, { client }) => {
    const history = await client.workflow.getHandle(workflowId, runId).fetchHistory();
    await writeFile(join(HISTORIES_DIR, `${shape}.bin`), proto.temporal.api.history.v1.History.encode(history).finish());
    process.stdout.write(`${shape}: ${history.events?.length ?? 0} events\n`);
  };
  await runDeliveryShapes(record);
  if (!process.argv.includes('--deliveries')) await runShapes(record);
} finally {
  await closeTestRun();
}
