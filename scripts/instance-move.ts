import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Client } from '@temporalio/client';
import { askMove, findPlace } from '../database/moves/ask-move.ts';
import { createOrm } from '../database/orm.ts';
import { runTransaction } from '../database/run-transaction.ts';
import { createIdMaker } from '../domain/ids.ts';
import { TASK_QUEUES } from '../domain/temporal/task-queues.ts';
import { MOVE_INSTANCES, MOVE_INSTANCES_ID } from '../domain/temporal/workflow-ids.ts';
import { createLog } from '../lib/log.ts';
import { openTemporalLink } from '../worker/temporal/temporal-link.ts';
import { loadConfigOf, settingsSchema } from '../lib/settings/config.ts';

// Moves an instance, or all of them, to the nodes of another driver or name: `npm run instance:move -- inst_... --to kubernetes`,
// `npm run instance:move -- --all --from process --to kubernetes`. DATABASE_URL is the worker's or the owner's. May be repeated.
const USAGE = `Say which instance and where to: npm run instance:move -- <instanceId> --to <process|docker|kubernetes|NODE_NAME>
or all of them: npm run instance:move -- --all --from <driver or node> --to <driver or node> [--at-once 4]\n`;
const AT_ONCE = 4;
const LOOK_MS = 1_000;
const PATIENCE_MS = 120_000;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { to: { type: 'string' }, from: { type: 'string' }, all: { type: 'boolean' }, 'at-once': { type: 'string' } },
});
const [instanceId] = positionals;
const atOnce = Number(values['at-once'] ?? AT_ONCE);

if (values.all && values.from && values.to && Number.isInteger(atOnce) && atOnce > 0) await moveFleet(values.from, values.to);
else if (instanceId !== undefined && values.to && !values.all) await moveOne(instanceId, values.to);
else refuse(USAGE);

async function moveOne(instance: string, to: string): Promise<void> {
  const { DATABASE_URL } = loadConfigOf(settingsSchema.pick({ DATABASE_URL: true }), process.env);
  const orm = await createOrm(DATABASE_URL);
  try {
    const newRuntimeId = createIdMaker(randomBytes)('run');
    const asked = await runTransaction(orm.em, (em) => askMove(em, { instanceId: instance, to, newRuntimeId }));
    if (asked === 'unknown') return refuse(`There is no instance ${instance}, or it is being deleted.\n`);
    if (asked === 'no_node') return refuse(`No worker of a node or a driver ${to} is alive. Start one, then repeat this.\n`);
    const before = await findPlace(orm.em.fork(), instance);
    for (;;) {
      const place = await findPlace(orm.em.fork(), instance);
      if (!place) return refuse(`${instance} was deleted.\n`);
      if (!place.isMoving) {
        if (asked !== 'there' && place.node === before?.node)
          return refuse(
            `${instance} could not be moved and is on ${place.node ?? 'no node'} as before; the logs of the workers say why.\n`,
          );
        process.stdout.write(`${instance} is on ${place.node ?? 'no node'}.\n`);
        return;
      }
      await sleep(LOOK_MS);
    }
  } finally {
    await orm.close();
  }
}

async function moveFleet(from: string, to: string): Promise<void> {
  const settings = settingsSchema.pick({ TEMPORAL_ADDRESS: true, TEMPORAL_NAMESPACE: true });
  const config = loadConfigOf(settings, process.env);
  const link = openTemporalLink(config, createLog('instance-move', 'warn'));
  try {
    const connection = await link.connected(AbortSignal.timeout(PATIENCE_MS));
    const client = new Client({ connection, namespace: config.TEMPORAL_NAMESPACE });
    await client.workflow.start(MOVE_INSTANCES, {
      ...{ workflowId: MOVE_INSTANCES_ID, taskQueue: TASK_QUEUES.maintenance, workflowIdConflictPolicy: 'USE_EXISTING' },
      args: [{ from, to, atOnce }],
      staticSummary: `move all from ${from} to ${to}`,
    });
    process.stdout.write(
      `The workflow ${MOVE_INSTANCES_ID} moves them, ${atOnce} at once. Watch it in the Temporal Web UI; its signals "pause" and "resume" hold it.\n`,
    );
  } finally {
    await link.close();
  }
}

function refuse(text: string): void {
  process.stderr.write(text);
  process.exitCode = 1;
}
