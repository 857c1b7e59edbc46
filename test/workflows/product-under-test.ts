import { afterAll, afterEach, beforeAll, beforeEach } from '@jest/globals';
import { listenToNotifications } from '../../database/notifications.ts';
import { findGatewayAddress } from '../../database/instances/gateway-address.ts';
import { viewInstances } from '../../database/instances/view-instances.ts';
import type { InstanceRow } from '../../database/instances/view-instances.ts';
import { getTurn } from '../../database/messages/find-turn.ts';
import type { TurnView } from '../../database/messages/find-turn.ts';
import { runTransaction } from '../../database/run-transaction.ts';
import { systemClock } from '../../lib/async/clock.ts';
import type { InflowLimits } from '../../runtime/openclaw/wire/inflow-budget.ts';
import type { SwapRoom } from '../../runtime/host/swap-room.ts';
import { acceptTurn } from '../../turns/accept-turn.ts';
import { createGatewayConnections } from '../../runtime/gateway-connections.ts';
import { createProcessLease } from '../../turns/process-lease.ts';
import { createTurnSender } from '../../turns/turn-sender.ts';
import type { TurnPauses } from '../../turns/turn-deps.ts';
import { createTurnWatches } from '../../turns/watch-turns.ts';
import { startOutboxRelay } from '../../worker/outbox-relay.ts';
import type { SleepPace } from '../../domain/sleep.ts';
import type { ProbePace } from '../../worker/gateways/proof-rounds.ts';
import { startShardLeases } from '../../worker/gateways/shard-leases.ts';
import { startWatchingSleep } from '../../worker/gateways/watch-sleep.ts';
import { startWatchingGateways } from '../../worker/gateways/watch-gateways.ts';
import { turnDepsOf } from '../../activities/steps/step-deps.ts';
import { eventually } from '../support/eventually.ts';
import { gateOf, UNCOUNTED } from '../support/gate-of.ts';
import { controlScripted, countAnswers, SCRIPTED_GATEWAY } from '../support/scripted-gateway/scripted-control.ts';
import type { ScriptedControl } from '../support/scripted-gateway/scripted-control.ts';
import { startReconciler } from './reconciler-under-test.ts';
import type { InstanceWithAgent, ReconcilerUnderTest } from './reconciler-under-test.ts';

/** Everything that a message passes through but HTTP: a reconciler, a watcher and the sender of an API, on one database. */
export interface ProductUnderTest {
  reconciler: ReconcilerUnderTest;
  /** A running instance with one agent, whose gateway is a scripted one. */
  newInstance(): Promise<InstanceUnderTest>;
  close(): Promise<void>;
}

export interface InstanceUnderTest extends InstanceWithAgent {
  control: ScriptedControl;
  /** Accepts a message in this conversation as a message call does. Answers the id of the reply. */
  say(text: string, conversation?: string): Promise<string>;
  /** The turn once it has ended. */
  end(messageId: string): Promise<TurnView>;
  /** As the API shows it. */
  view(): Promise<InstanceRow>;
  /** Runs a statement with the id of the instance as its one parameter. */
  sql<T>(statement: string): Promise<T[]>;
  bootId(): Promise<string | null>;
  /** How many gateway processes it has had, and how often a turn of this message was carried out to its end. */
  starts(): number;
  answersTo(messageId: string): number;
  /** Waits until its gateway was noted to refuse, and has that have lasted for so long. */
  ageRefusals(seconds: number, times?: number): Promise<void>;
  sessionKey(messageId: string): Promise<string>;
}

/** Starts it for the tests of this file, and gives each of them an instance, which goes with the test. */
export function productForEach(
  give: (product: ProductUnderTest, instance: InstanceUnderTest) => void,
  options: ProductOptions = {},
): void {
  let product: ProductUnderTest;
  let instance: InstanceUnderTest;
  beforeAll(async () => {
    product = await startProduct(options);
  });
  afterAll(() => product.close());
  beforeEach(async () => {
    instance = await product.newInstance();
    give(product, instance);
  });
  afterEach(() => product.reconciler.power(instance.instanceId, 'destroy'));
}

interface ProductOptions {
  /** By default one whose gateways are scripted processes. */
  reconciler?: () => Promise<ReconcilerUnderTest>;
  inflow?: InflowLimits;
  /** By default those of a worker. */
  pauses?: TurnPauses;
  pace?: ProbePace;
  /** Instances fall asleep and wake at this pace; by default none does. */
  sleep?: SleepPace;
  /** By default gateways of sleepers are stopped. */
  suspend?: 'auto' | 'off';
  /** By default the machine has none, so that those that are suspended stay so. */
  readSwap?: () => Promise<SwapRoom>;
}

const NO_SWAP = { totalBytes: 0, freeBytes: 0 };
const DEEP_SLEEP_AFTER_MS = 3_600_000;

/** Pauses of a worker that tests of broken gateways need not wait out. */
export const SHORT_PAUSES = {
  pauses: { begunMs: 5_000, unbegunMs: 1_000, brokenMs: 500 },
  pace: { everyMs: 1_000, probeMs: 900 },
} as const;

export async function startProduct(options: ProductOptions = {}): Promise<ProductUnderTest> {
  const { inflow, pauses, pace, sleep, suspend = 'off', readSwap = async () => NO_SWAP } = options;
  const program = async () => SCRIPTED_GATEWAY;
  const reconciler = await (options.reconciler?.() ?? startReconciler({ program, maxRunning: 64, suspend }));
  const { orm, driver, deps, client, connection, makeId } = reconciler;
  const { log } = deps;
  const masterKeys = deps.config.MASTER_KEYS;
  const turnDeps = { ...turnDepsOf(deps), ...(pauses && { pauses }) };
  const monotonicMs = (): number => performance.now();
  const notifications = listenToNotifications(reconciler.databaseUrl, log);
  const temporal = { client: () => client, connection: () => connection, namespace: client.options.namespace };
  const relay = startOutboxRelay({ orm, notifications, temporal, monotonicMs, handOver: null, log });

  const ofWorker = createGatewayConnections({ endpoints: driver, masterKeys, log, ...(inflow && { inflow }) });
  const worker = createProcessLease({ orm, kind: 'worker', makeId, log });
  await worker.start();
  const turnWatches = createTurnWatches({ ...turnDeps, notifications });
  const leases = startShardLeases({ orm, processId: () => worker.id(), monotonicMs, onChange: () => watches.wake(), log });
  const watches = startWatchingGateways({
    ...{ orm, driver, connections: ofWorker, leases, notifications, turnWatches, monotonicMs, log },
    ...{ load: { isStarved: () => false }, clock: systemClock, random: Math.random, ...(pace && { pace }) },
  });

  const sleeping =
    sleep &&
    startWatchingSleep({ ...turnDeps, config: { DEEP_SLEEP_AFTER_MS }, connections: ofWorker, leases, pace: sleep, readSwap });

  const endpoints = { endpoint: (runtimeId: string) => findGatewayAddress(orm.em.fork(), runtimeId) };
  const ofApi = createGatewayConnections({ endpoints, masterKeys, log, ...(inflow && { inflow }) });
  const api = createProcessLease({ orm, kind: 'api', makeId, log });
  await api.start();
  const sender = createTurnSender({ ...turnDeps, connections: ofApi, lease: api, notifications });

  function underTest(instance: InstanceWithAgent): InstanceUnderTest {
    const { instanceId, agentId, runtimeId, gatewayAgentId } = instance;
    const control = controlScripted(driver.paths(runtimeId).stateDir);
    const sql = <T>(statement: string): Promise<T[]> => orm.em.fork().execute<T[]>(statement, [instanceId]);
    const view = async (): Promise<InstanceRow> => {
      const [found] = await viewInstances(orm.em.fork(), [instanceId]);
      if (!found) throw new Error('There is no such instance');
      return found;
    };
    return {
      ...instance,
      control,
      sql,
      view,
      async say(text, conversation = '') {
        const said = { instanceId, agentId, sessionId: conversation, text, sender: { type: 'user', id: 'u1', name: 'Somebody' } };
        const accepted = await runTransaction(orm.em, async (em) =>
          acceptTurn(em, await gateOf(em, { instanceId, agentId }), {
            ...said,
            ...UNCOUNTED,
            owner: sender.owner(),
            makeId,
            now: systemClock(),
          }),
        );
        sender.send(accepted.messageId, accepted);
        return accepted.messageId;
      },
      end: (messageId) =>
        eventually(async () => {
          const turn = await getTurn(orm.em.fork(), messageId);
          if (!turn || turn.status === 'pending')
            throw new Error(`The turn has not ended; the instance: ${JSON.stringify(await view())}`);
          return turn;
        }),
      async bootId() {
        const [row] = await sql<{ bootId: string | null }>('select boot_id as "bootId" from instances where id = ?');
        return row?.bootId ?? null;
      },
      starts: () => control.journal().filter(({ what }) => what === 'started').length,
      answersTo: (messageId) => countAnswers(control, messageId),
      async ageRefusals(seconds, times = 2) {
        await eventually(async () => {
          const aged = await sql(
            `update gateway_refusals set first_at = first_at - interval '${seconds} seconds', times = times + ${times}
              where instance_id = ? and first_at > now() - interval '${seconds} seconds' returning sign`,
          );
          if (aged.length === 0) throw new Error('It was not noted to refuse');
        });
      },
      async sessionKey(messageId) {
        const [row] = await orm.em
          .fork()
          .execute<{ id: string }[]>('select conversation_id as id from messages where id = ?', [messageId]);
        return `agent:${gatewayAgentId}:conv:${row?.id}`;
      },
    };
  }

  return {
    reconciler,
    async newInstance() {
      const instance = await reconciler.newInstance();
      await orm.em.fork().execute('update accounts set balance_nano_usd = 50000000000 where id = ?', [instance.accountId], 'run');
      await reconciler.power(instance.instanceId, 'start');
      const started = underTest(instance);
      await eventually(async () => {
        if ((await started.view()).status !== 'running') throw new Error('It does not run');
      });
      return started;
    },
    async close() {
      await Promise.all([sender.stop(), sleeping?.stop()]);
      await Promise.all([leases.stop(), watches.stop(), turnWatches.stop(), relay.stop()]);
      await Promise.all([worker.stop(), api.stop()]);
      for (const connections of [ofWorker, ofApi]) connections.closeAll();
      await notifications.close();
      await reconciler.close();
    },
  };
}
