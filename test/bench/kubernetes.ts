import { z } from 'zod';
import { pathOf } from '../../runtime/kubernetes/names.ts';
import { eventually } from '../support/eventually.ts';
import { startFakeModel } from '../support/fake-model.ts';
import { hasCluster, MACHINE, openKubernetes } from '../support/kubernetes-under-test.ts';
import type { KubernetesUnderTest } from '../support/kubernetes-under-test.ts';
import { startStack } from '../support/stack-under-test.ts';
import type { StackUnderTest } from '../support/stack-under-test.ts';
import { apiServerLoad } from './api-server.ts';
import type { ApiServerLoad } from './api-server.ts';
import { barePodStart } from './bare-pod.ts';
import type { Bench, BenchContext } from './bench.ts';
import { coldStart } from './cold-start.ts';
import type { Account } from './cold-start.ts';
import { median } from './table.ts';
import type { Row } from './table.ts';

const pods = z.looseObject({ items: z.array(z.unknown()) });
const AT_ONCE = Number(process.env['AT_ONCE'] ?? 10);
/** What our control plane may add to a Pod's own start. */
const OUR_SHARE_MS = 1_000;
const POOL_MS = 1_500;
const APPLIED_MS = 1_000;
const READY_MS = 5 * 60_000;

/** Cold starts as Pods against a Pod without a control plane, starts from the pool, changed configuration, and what the API server has to do. */
export const benchKubernetes: Bench = async ({ rounds, say }) => {
  if (!hasCluster)
    throw new Error(
      'Kubernetes cannot be measured: there is no test cluster. scripts/kubernetes-cluster.sh start brings one up.',
    );
  const kubernetes = await openKubernetes();
  try {
    return [...(await coldAndAtOnce(kubernetes, { rounds, say })), ...(await fromPool(kubernetes, { rounds, say }))];
  } finally {
    await kubernetes.close();
  }
};

type Rounds = Pick<BenchContext, 'rounds' | 'say'>;

async function coldAndAtOnce(kubernetes: KubernetesUnderTest, { rounds, say }: Rounds): Promise<Row[]> {
  const model = await startFakeModel({ host: MACHINE });
  const driver = kubernetes.openDriver({ RELAY_PORT: Number(new URL(model.url).port) });
  const stack = await startOnCluster(kubernetes, '0');
  try {
    const account = await stack.newAccount();
    // The first start of an installation also waits for the probe of its walls.
    await barePodStart(driver);
    await startAndDelete(kubernetes, account);
    const [bare, ours, applied]: [number[], number[], number[]] = [[], [], []];
    for (let round = 1; round <= rounds; round += 1) {
      bare.push(await barePodStart(driver));
      ours.push(
        await startAndDelete(
          kubernetes,
          account,
          async (instanceId) => void applied.push(await agentApplied(account, instanceId)),
        ),
      );
      const [first, second, third] = [bare, ours, applied].map((values) => Math.round(values.at(-1) ?? 0));
      say(`  round ${round}: bare Pod ${first} ms, create to first answer ${second} ms, a new agent applied ${third} ms`);
    }
    const before = await apiServerLoad(kubernetes.admin);
    const together = await Promise.all(Array.from({ length: AT_ONCE }, (_, n) => coldStart(account, `at-once-${n}`)));
    const beside = await apiServerLoad(kubernetes.admin);
    for (const { instanceId } of together) await account.ok('DELETE', `/instances/${instanceId}`);
    await untilNoPods(kubernetes);
    return [
      {
        what: 'bare Pod: create to first answer, by the driver alone',
        values: bare,
        unit: 'ms',
        goal: 'the baseline',
        reached: null,
      },
      atMost('create to first answer as a Pod', ours, median(bare) + OUR_SHARE_MS, `p50 <= bare + ${OUR_SHARE_MS}`),
      atMost('a new agent on a running Pod, until its configuration is applied', applied, APPLIED_MS),
      {
        what: `start of ${AT_ONCE} Pods at once, each to its first answer`,
        values: together.map(({ ms }) => ms),
        unit: 'ms',
        goal: 'shown',
        reached: null,
      },
      ...perIdleInstance(before, beside),
    ];
  } finally {
    await stack.close();
    await model.close();
  }
}

function perIdleInstance(before: ApiServerLoad, beside: ApiServerLoad): Row[] {
  const each = (count: 'memoryMb' | 'callsPerMinute'): number[] => [(beside[count] - before[count]) / AT_ONCE];
  const shown = { goal: 'shown', reached: null };
  return [
    { what: 'memory of the API server per idle Pod', values: each('memoryMb'), unit: 'MB', ...shown },
    { what: 'calls of the API server per idle Pod and minute', values: each('callsPerMinute'), unit: 'actions', ...shown },
  ];
}

async function fromPool(kubernetes: KubernetesUnderTest, { rounds, say }: Rounds): Promise<Row[]> {
  const stack = await startOnCluster(kubernetes, '1');
  try {
    const account = await stack.newAccount();
    const answered: number[] = [];
    for (let round = 1; round <= rounds; round += 1) {
      await eventually(async () => {
        const { runtimes } = await stack.operator.ok('GET', '/admin/runtimes?state=ready');
        if (runtimes.length === 0) throw new Error('No gateway of the pool is ready');
      }, READY_MS);
      const { instanceId, ms } = await coldStart(account, 'bench');
      answered.push(ms);
      await account.ok('DELETE', `/instances/${instanceId}`);
      say(`  round ${round}: from the pool ${Math.round(ms)} ms`);
    }
    return [atMost('create to first answer with a Pod of the pool', answered, POOL_MS)];
  } finally {
    await stack.close();
  }
}

function atMost(what: string, values: number[], limit: number, goal = `p50 <= ${limit}`): Row {
  return { what, values, unit: 'ms', goal, reached: median(values) <= limit };
}

/** How long it takes until a new agent, for which nothing is held ready, is active. */
async function agentApplied(account: Account, instanceId: string): Promise<number> {
  const startedAt = performance.now();
  const agents = `/instances/${instanceId}/agents`;
  const { agentId } = await account.ok('POST', agents, { name: 'b', slug: 'another', displayName: 'B' });
  await eventually(async () => {
    const { status } = await account.ok('GET', `${agents}/${agentId}`);
    if (status !== 'active') throw new Error(`The agent is ${status}`);
  });
  return performance.now() - startedAt;
}

/** How long a cold start took; returns once nothing is left of the instance. */
async function startAndDelete(
  kubernetes: KubernetesUnderTest,
  account: Account,
  meanwhile: (instanceId: string) => Promise<void> = async () => undefined,
): Promise<number> {
  const { instanceId, ms } = await coldStart(account, 'bench');
  await meanwhile(instanceId);
  await account.ok('DELETE', `/instances/${instanceId}`);
  await untilNoPods(kubernetes);
  return ms;
}

/** Asked of the cluster itself: the workers name what they have by the id of their database. */
async function untilNoPods({ admin }: KubernetesUnderTest): Promise<void> {
  await eventually(async () => {
    const query = { labelSelector: 'thermidora/role=gateway' };
    const { items } = pods.parse(await admin.api.call('GET', pathOf(admin.namespace, 'pods'), { query }));
    if (items.length > 0) throw new Error('A deleted instance still has a Pod');
  }, READY_MS);
}

/** API, worker and relay of this machine, whose instances are Pods. */
function startOnCluster({ settings }: KubernetesUnderTest, poolSize: string): Promise<StackUnderTest> {
  const { INSTANCE_IMAGE, KUBERNETES_CONFIG, KUBERNETES_NAMESPACE, INSTANCE_DISK_MB, KUBERNETES_REQUEST_MEMORY_MB } = settings;
  return startStack({
    env: {
      RUNTIME: 'kubernetes',
      POOL_SIZE: poolSize,
      RELAY_HOST: MACHINE,
      KUBERNETES_CONTROL_PLANE: MACHINE,
      KUBERNETES_CONFIG: KUBERNETES_CONFIG ?? '',
      KUBERNETES_NAMESPACE,
      INSTANCE_IMAGE: INSTANCE_IMAGE ?? '',
      INSTANCE_DISK_MB: String(INSTANCE_DISK_MB),
      KUBERNETES_REQUEST_MEMORY_MB: String(KUBERNETES_REQUEST_MEMORY_MB),
    },
  });
}
