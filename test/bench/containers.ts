import { docker, hasEngine } from '../support/docker-under-test.ts';
import { startStack } from '../support/stack-under-test.ts';
import type { StackUnderTest } from '../support/stack-under-test.ts';
import { namesOf } from '../../runtime/docker/names.ts';
import { bareColdStart } from './bare-cold-start.ts';
import type { Bench, BenchContext } from './bench.ts';
import { coldStart, OUR_SHARE_MS } from './cold-start.ts';
import type { Account } from './cold-start.ts';
import { median } from './table.ts';
import type { Row } from './table.ts';

const LIMIT_MS = 15_000;
/** What a container may add. */
const CONTAINER_MS = 1_000;
const AT_ONCE = Number(process.env['AT_ONCE'] ?? 5);
const TURNS = Number(process.env['TURNS'] ?? 200);
const MEBIBYTE_PER_GIBIBYTE = 1024;
/** The default of INSTANCE_MEMORY_MB. */
const LIMIT_MB = 1_536;
/** Of a machine with 16 GB, what the system, PostgreSQL, Temporal and the control plane have. */
const PLATFORM_MB = 2.5 * MEBIBYTE_PER_GIBIBYTE;

/** As deploy/prepare.sh sets it. */
const DISK_MB = 2_048;
const ENV = { RUNTIME: 'docker', MAX_RUNNING: '16' };

/** The same cold start in containers, without and with a disk of their own, five at once, and what an instance holds of its memory. */
export const benchContainers: Bench = async ({ rounds, say }) => {
  if (!hasEngine)
    throw new Error('The containers cannot be measured: no Docker engine answers. scripts/docker-engine.sh starts one.');
  const stack = await startStack({ env: ENV });
  try {
    const account = await stack.newAccount();
    const starts = await coldStarts(account, { rounds, say });
    const together = await Promise.all(Array.from({ length: AT_ONCE }, (_, n) => coldStart(account, `at-once-${n}`)));
    const idle = await memoryOf(stack);
    const [first] = together;
    if (!first) throw new Error('nothing was started');
    for (let turn = 1; turn <= TURNS; turn += 1)
      await account.ok('POST', `/instances/${first.instanceId}/agents/${first.agentId}/messages`, { message: `turn ${turn}` });
    const used = Math.max(...(await memoryOf(stack)));
    const fits = Math.floor((16 * MEBIBYTE_PER_GIBIBYTE - PLATFORM_MB) / LIMIT_MB);
    return [
      ...starts,
      {
        what: `start of ${AT_ONCE} containers at once, each to its first answer`,
        values: together.map(({ ms }) => ms),
        unit: 'ms',
        goal: 'shown',
        reached: null,
      },
      {
        what: 'memory of an idle container',
        values: idle,
        unit: 'MB',
        goal: `limit ${LIMIT_MB}`,
        reached: Math.max(...idle) < LIMIT_MB,
      },
      { what: `memory after ${TURNS} turns`, values: [used], unit: 'MB', goal: `limit ${LIMIT_MB}`, reached: used < LIMIT_MB },
      { what: 'containers in 16 GB, each at its limit', values: [fits], unit: 'instances', goal: 'shown', reached: null },
    ];
  } finally {
    await stack.close();
  }
};

/** A bare gateway, one in a container and one in a container with a disk, in turns. */
async function coldStarts(account: Account, { rounds, say }: Pick<BenchContext, 'rounds' | 'say'>): Promise<Row[]> {
  const stack = await startStack({ env: { ...ENV, INSTANCE_DISK_MB: String(DISK_MB) } });
  try {
    const accountWithDisks = await stack.newAccount();
    const bare: number[] = [];
    const ours: number[] = [];
    const onDisks: number[] = [];
    for (let round = 1; round <= rounds; round += 1) {
      bare.push(await bareColdStart());
      ours.push(await startAndDelete(account));
      onDisks.push(await startAndDelete(accountWithDisks));
      const [first, second, third] = [bare, ours, onDisks].map((values) => Math.round(values.at(-1) ?? 0));
      say(`  round ${round}: bare gateway ${first} ms, first answer in a container ${second} ms, with a disk ${third} ms`);
    }
    return [
      { what: 'bare gateway: start to first answer', values: bare, unit: 'ms', goal: 'the baseline', reached: null },
      coldStartRow('create to first answer in a container', ours, bare),
      coldStartRow(`the same, with a disk of ${DISK_MB} MB`, onDisks, bare),
    ];
  } finally {
    await stack.close();
  }
}

async function startAndDelete(account: Account): Promise<number> {
  const { instanceId, ms } = await coldStart(account, 'bench');
  await account.ok('DELETE', `/instances/${instanceId}`);
  return ms;
}

function coldStartRow(what: string, values: number[], bare: number[]): Row {
  return {
    what,
    values,
    unit: 'ms',
    goal: `p50 <= bare + ${OUR_SHARE_MS + CONTAINER_MS} (${LIMIT_MS} in all: ${median(values) <= LIMIT_MS ? 'yes' : 'NO'})`,
    reached: median(values) <= median(bare) + OUR_SHARE_MS + CONTAINER_MS,
  };
}

/** Of every container of this stack, in MiB, as the engine counts it: without the page cache. */
async function memoryOf({ dataDir }: StackUnderTest): Promise<number[]> {
  const prefix = `thermidora-${namesOf(dataDir).installation}-`;
  const lines = (await docker('stats', '--no-stream', '--format', '{{.Name}} {{.MemUsage}}')).trim().split('\n');
  return lines
    .filter((line) => line.startsWith(prefix) && !line.startsWith(`${prefix}walls`))
    .map((line) => Number(/ ([\d.]+)MiB/.exec(line)?.[1] ?? 0));
}
