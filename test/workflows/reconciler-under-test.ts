import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { MikroORM } from '@mikro-orm/postgresql';
import { Client } from '@temporalio/client';
import { NativeConnection } from '@temporalio/worker';
import { pino } from 'pino';
import { createActivities } from '../../activities/create-activities.ts';
import type { Activities } from '../../activities/create-activities.ts';
import { createStartPace } from '../../activities/start-pace.ts';
import type { StepDeps } from '../../activities/steps/step-deps.ts';
import type { Agent } from '../../database/entities/agent.ts';
import { createOrm } from '../../database/orm.ts';
import { changePower } from '../../database/instances/lifecycle/change-power.ts';
import { findLifecycle } from '../../database/instances/lifecycle/find-lifecycle.ts';
import type { InstanceLifecycle } from '../../database/instances/lifecycle/find-lifecycle.ts';
import { enterNode } from '../../database/nodes/enter-node.ts';
import { insertProcess } from '../../database/processes/process-lease.ts';
import { runTransaction } from '../../database/run-transaction.ts';
import { createIdMaker } from '../../domain/ids.ts';
import type { PowerAction } from '../../domain/lifecycle.ts';
import { TASK_QUEUES } from '../../domain/temporal/task-queues.ts';
import {
  instanceWorkflowId,
  instanceWorkflowSummary,
  RECONCILE_INSTANCE,
  WAKE_SIGNAL,
} from '../../domain/temporal/workflow-ids.ts';
import { cacheDirOf } from '../../lib/cache-dir.ts';
import { readRecord } from '../../runtime/process/gateway-record.ts';
import type { RuntimeDriver } from '../../runtime/driver.ts';
import { ProcessDriver } from '../../runtime/process/process-driver.ts';
import { layoutOf } from '../../runtime/host/runtime-layout.ts';
import { createGatewayConnections } from '../../runtime/gateway-connections.ts';
import { quietTemporal } from './quiet-temporal.ts';
import { bundleApart } from '../../worker/temporal/bundle-apart.ts';
import { startInstanceServer } from '../../worker/serving/instance-server.ts';
import { createTemporalWorkers } from '../../worker/temporal/temporal-workers.ts';
import { makeId as newId, newAgent, newInstance } from '../factories.ts';
import type { NewAgent, NewInstance } from '../factories.ts';
import { eventually, PATIENCE_MS } from '../support/eventually.ts';
import { offeredModel } from '../support/offered-model.ts';
import { startFakeModel } from '../support/fake-model.ts';
import type { FakeModel } from '../support/fake-model.ts';
import { asRole, createTestDatabase } from '../support/test-database.ts';
import { createTestNamespace } from '../support/test-temporal.ts';
import { removeFolder } from '../support/remove-folder.ts';
import { runFolder } from '../support/run-folder.ts';

const log = pino({ level: process.env['TEST_LOG_LEVEL'] ?? 'silent' });
// Once per process, before the first connection.
quietTemporal(log);

export const MODEL = 'fake-model';

export interface Run {
  workflowId: string;
  runId: string;
}

/** An instance of the reconciler with everything real around it but the worker process's own loops. */
export interface ReconcilerUnderTest {
  /** As the owner of the database; the activities run as the worker. */
  orm: MikroORM;
  databaseUrl: string;
  temporal: { address: string; namespace: string };
  deps: StepDeps;
  /** What the activities take it for, whatever it is. */
  machine: { isStarved: boolean };
  driver: RuntimeDriver;
  dataDir: string;
  client: Client;
  connection: NativeConnection;
  model: FakeModel;
  activities: Activities;
  makeId: ReturnType<typeof createIdMaker>;
  /** An instance that nobody has started yet, with one agent. */
  newInstance(): Promise<InstanceWithAgent>;
  /** As the API does it, without the wake-up. */
  power(instanceId: string, action: PowerAction): Promise<void>;
  /** What the outbox relay does. */
  wake(instanceId: string): Promise<Run>;
  /** Wakes it and waits until its run has ended. */
  reconcile(instanceId: string): Promise<Run>;
  ended(run: Run): Promise<void>;
  row(instanceId: string): Promise<InstanceLifecycle>;
  statusOf(instanceId: string): Promise<StatusRow>;
  /** SIGKILL to its gateway. */
  killGateway(runtimeId: string): Promise<void>;
  close(): Promise<void>;
}

export type InstanceWithAgent = NewInstance & NewAgent;

export interface StatusRow {
  status: string;
  transition: string | null;
  step: string | null;
  reason: string | null;
  bootId: string | null;
  hasSlot: boolean;
  isQueued: boolean;
  isGone: boolean;
  openIntervals: number;
  deaths: number;
}

/** Answers the file that Node runs as a gateway; it may write it into the data directory. */
export type GatewayProgram = (dataDir: string) => Promise<string>;

interface Options {
  /** `openClaw` or `dyingGateway(exitCode)`. */
  program: GatewayProgram;
  maxRunning?: number;
  /** The name of the node whose worker it is; by default instances are on none. */
  node?: string;
  /** Shares the database and the namespace of this one, which is closed after it. */
  beside?: ReconcilerUnderTest;
  /** By default gateways are processes of this machine; it is told how they reach the model, which listens on this host. */
  openDriver?: (modelUrl: string) => RuntimeDriver;
  modelHost?: string;
  withWorkers?: boolean;
  /** By default gateways of sleepers are stopped. */
  suspend?: 'auto' | 'off';
}

/** Brings it up on a database, a namespace and a data directory of its own. */
export async function startReconciler(options: Options): Promise<ReconcilerUnderTest> {
  const cacheDir = cacheDirOf(process.env);
  const { beside, node, maxRunning = 4, suspend = 'off' } = options;
  const [database, temporal, model, dataDir] = await Promise.all([
    beside ? { url: beside.databaseUrl, drop: async () => undefined } : createTestDatabase(),
    beside?.temporal ?? createTestNamespace(),
    startFakeModel(options.modelHost === undefined ? {} : { host: options.modelHost }),
    runFolder('reconciler'),
  ]);
  const { address, namespace } = temporal;
  const entry = await options.program(dataDir);
  const orm = await createOrm(database.url);
  const own = await createOrm(asRole(database.url, 'worker'));
  const program = { node: process.execPath, entry, compileCacheDir: join(cacheDir, 'compile-cache') };
  const driver = options.openDriver?.(model.url) ?? new ProcessDriver({ dataDir, relayUrl: model.url, program });
  const makeId = createIdMaker(randomBytes);
  const drain = new AbortController();
  const masterKeys = beside?.deps.config.MASTER_KEYS ?? [{ id: 'test', key: randomBytes(32) }];
  const server = await startInstanceServer({ driver, masterKeys, log });
  const connections = createGatewayConnections({ endpoints: driver, masterKeys, log });
  const machine = { isStarved: false };
  const load = { isStarved: () => machine.isStarved };
  const deps: StepDeps = {
    orm: own,
    driver,
    nodeId: node === undefined ? null : await enterAlive(own, { name: node, maxRunning, driver: driver.kind }, server.address),
    connections,
    config: {
      MASTER_KEYS: masterKeys,
      MODELS: { [MODEL]: offeredModel({ upstream: MODEL }) },
      PROVIDERS: {},
      MAX_RUNNING: maxRunning,
      SUSPEND: suspend,
      TURN_TIMEOUT_MS: 600_000,
      MAX_STORED_MB_PER_ACCOUNT: 1_024,
      QUARANTINE_DAYS: 7,
    },
    clock: () => new Date(),
    monotonicMs: () => performance.now(),
    load,
    pool: null,
    startPace: createStartPace({ load, monotonicMs: () => performance.now() }),
    makeId,
    log,
    drain: drain.signal,
  };
  const activities = createActivities(deps);
  const connection = await NativeConnection.connect({ address });
  const client = new Client({ connection, namespace });
  const { nodeId } = deps;
  const workerOptions = { connection, namespace, activities, nodeId, identity: 'worker-under-test', log };
  const workers =
    options.withWorkers === false
      ? null
      : await createTemporalWorkers({ ...workerOptions, workflowBundle: await bundleApart(cacheDir) });
  const running = workers?.run();

  const wake = async (instanceId: string): Promise<Run> => {
    const { workflowId, signaledRunId } = await client.workflow.signalWithStart(RECONCILE_INSTANCE, {
      workflowId: instanceWorkflowId(instanceId),
      taskQueue: TASK_QUEUES.lifecycle,
      args: [{ instanceId }],
      signal: WAKE_SIGNAL,
      staticSummary: instanceWorkflowSummary(instanceId),
    });
    return { workflowId, runId: signaledRunId };
  };
  const ended = async ({ workflowId, runId }: Run): Promise<void> => {
    await client.workflow.getHandle(workflowId, runId).result();
  };

  return {
    orm,
    databaseUrl: database.url,
    temporal,
    deps,
    machine,
    driver,
    dataDir,
    client,
    connection,
    model,
    activities,
    makeId,
    newInstance: () => newInstanceWithAgent(orm),
    async power(instanceId, action) {
      await orm.em.fork().transactional((em) => changePower(em, { instanceId, action, now: new Date() }));
    },
    wake,
    ended,
    async reconcile(instanceId) {
      const run = await wake(instanceId);
      await ended(run);
      return run;
    },
    async row(instanceId) {
      const row = await findLifecycle(orm.em.fork(), instanceId, { lock: false });
      if (!row) throw new Error('there is no such instance');
      return row;
    },
    statusOf: (instanceId) => statusOf(orm, instanceId),
    async killGateway(runtimeId) {
      const record = await readRecord(layoutOf(dataDir, runtimeId));
      if (record) process.kill(record.pid, 'SIGKILL');
      await eventually(async () => {
        if ((await driver.inspect(runtimeId)).status === 'running') throw new Error('it still runs after SIGKILL');
      });
    },
    async close() {
      drain.abort();
      workers?.shutdown();
      await running;
      connections.closeAll();
      for (const { runtimeId } of await driver.list())
        await driver.destroy(runtimeId, { epoch: Number.MAX_SAFE_INTEGER, signal: AbortSignal.timeout(PATIENCE_MS) });
      await server.stop();
      await connection.close();
      await Promise.all([orm.close(), own.close()]);
      await model.close();
      await database.drop();
      await removeFolder(dataDir);
    },
  };
}

/** A node with a worker that lives for as long as the test does. */
async function enterAlive(orm: MikroORM, node: Parameters<typeof enterNode>[1], address: string): Promise<number> {
  const nodeId = await runTransaction(orm.em, (em) => enterNode(em, node));
  const id = newId('proc');
  await insertProcess(orm.em.fork(), { id, kind: 'worker', address, nodeId });
  await orm.em.fork().execute(`update processes set seen_at = 'infinity' where id = ?`, [id]);
  return nodeId;
}

/** A program that ends at once with this code, in the place of OpenClaw. */
export function dyingGateway(exitCode: number): GatewayProgram {
  return async (dataDir) => {
    const file = join(dataDir, 'dying-gateway.cjs');
    await writeFile(file, `process.exit(${exitCode});\n`);
    return file;
  };
}

async function newInstanceWithAgent(orm: MikroORM): Promise<InstanceWithAgent> {
  const instance = await newInstance(orm, { desiredStatus: 'stopped', status: 'stopped', contentGeneration: 1 });
  const agent = await newAgentWithFiles(orm, {
    ...{ instance: instance.instanceId, account: instance.accountId, slug: 'alpha', generation: 1 },
  });
  return { ...instance, ...agent };
}

/** A pending agent with one file of its prompt and one other file. */
export async function newAgentWithFiles(orm: MikroORM, values: Partial<Agent>): Promise<NewAgent> {
  const agent = await newAgent(orm, { model: MODEL, status: 'pending', ...values });
  for (const [path, content] of [
    ['SOUL.md', 'calm'],
    ['notes/a.md', 'first'],
  ])
    await orm.em
      .fork()
      .execute('insert into agent_files (agent_id, path, content, generation, updated_at) values (?, ?, ?, ?, now())', [
        ...[agent.agentId, path, content, values.generation],
      ]);
  return agent;
}

async function statusOf(orm: MikroORM, instanceId: string): Promise<StatusRow> {
  const [row] = await orm.em.fork().execute<StatusRow[]>(
    `select status, transition_kind as transition, transition_step as step, reason_code as reason, boot_id as "bootId",
            has_slot as "hasSlot", queued_at is not null as "isQueued", deleted_at is not null as "isGone",
            coalesce(array_length(deaths, 1), 0) as deaths,
            (select count(*)::int from runtime_intervals where instance_id = instances.id and ended_at is null) as "openIntervals"
       from instances where id = ?`,
    [instanceId],
  );
  if (!row) throw new Error('there is no such instance');
  return row;
}
