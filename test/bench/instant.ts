import { eventually } from '../support/eventually.ts';
import { startStack } from '../support/stack-under-test.ts';
import type { StackUnderTest } from '../support/stack-under-test.ts';
import { bareColdStart } from './bare-cold-start.ts';
import type { Bench, BenchContext } from './bench.ts';
import { timed } from './bench.ts';
import type { Account } from './cold-start.ts';
import { measureCrowd } from './crowd.ts';
import { median, percentile } from './table.ts';
import type { Row } from './table.ts';
import { measureWakes } from './wakes.ts';

const READY_MS = 3 * 60_000;
const MESSAGES = 30;

/** From the creation of an instance to its agent's first answer where a gateway is ready for it, and what keeping one ready costs. */
export const benchInstant: Bench = async ({ rounds, isLong, say }) => {
  const bare: number[] = [];
  for (let round = 0; round < Math.min(rounds, 3); round += 1) bare.push(await bareColdStart());
  const rows = await measurePool({ rounds, isLong, say, bare });
  return isLong ? [...rows, ...(await measureCrowd({ say }))] : rows;
};

interface Measured extends Pick<BenchContext, 'rounds' | 'isLong' | 'say'> {
  /** What a bare gateway takes from its start to its first answer. */
  bare: readonly number[];
}

async function measurePool({ rounds, isLong, say, bare }: Measured): Promise<Row[]> {
  const stack = await startStack({ env: { POOL_SIZE: '1' } });
  try {
    const { running, answered, second, third } = await fromPool(stack, rounds, say);
    const { quiet, beside } = await besideRefill(stack);
    const wakes = await measureWakes({ rounds, isLong, say, bareMs: median(bare) });
    return [
      { what: 'bare gateway: start to first answer', values: bare, unit: 'ms', goal: 'the baseline', reached: null },
      { what: 'pool: create to running', values: running, unit: 'ms', goal: 'p50 <= 500', reached: median(running) <= 500 },
      {
        what: 'pool: create to first answer',
        values: answered,
        unit: 'ms',
        goal: 'p50 <= 1000, p99 <= 2500',
        reached: median(answered) <= 1_000 && percentile(answered, 0.99) <= 2_500,
      },
      {
        what: 'second agent of a claimed instance to first answer',
        values: second,
        unit: 'ms',
        goal: 'p50 <= 700',
        reached: median(second) <= 700,
      },
      {
        what: 'third agent, with no spare left, to first answer',
        values: third,
        unit: 'ms',
        goal: 'what it is without a pool',
        reached: null,
      },
      { what: 'message to answer, nothing else at work', values: quiet, unit: 'ms', goal: 'the baseline', reached: null },
      {
        what: 'message to answer while the pool is refilled',
        values: beside,
        unit: 'ms',
        goal: 'p99 <= 1.3 times without',
        reached: percentile(beside, 0.99) <= 1.3 * percentile(quiet, 0.99),
      },
      ...wakes,
    ];
  } finally {
    await stack.close();
  }
}

async function fromPool(stack: StackUnderTest, rounds: number, say: (sentence: string) => void) {
  const account = await stack.newAccount();
  const times = { running: [], answered: [], second: [], third: [] } as Record<
    'running' | 'answered' | 'second' | 'third',
    number[]
  >;
  for (let round = 1; round <= rounds; round += 1) {
    await untilMember(stack, 'ready');
    const startedAt = performance.now();
    const { instanceId, status } = await account.ok('POST', '/instances?wait=60', { name: 'bench' });
    if (status !== 'running') throw new Error(`The instance is ${status}`);
    times.running.push(performance.now() - startedAt);
    await newAgentAnswers(account, instanceId, 'first');
    times.answered.push(performance.now() - startedAt);
    times.second.push(await timed(() => newAgentAnswers(account, instanceId, 'second')));
    times.third.push(await timed(() => newAgentAnswers(account, instanceId, 'third')));
    await account.ok('DELETE', `/instances/${instanceId}`);
    const shown = Object.entries(times).map(([name, values]) => `${name} ${Math.round(values.at(-1) ?? 0)}`);
    say(`  round ${round}: ${shown.join(', ')} ms`);
  }
  return times;
}

async function newAgentAnswers(account: Account, instanceId: string, slug: string): Promise<string> {
  const { agentId } = await account.ok('POST', `/instances/${instanceId}/agents`, { name: slug, slug, displayName: slug });
  await account.ok('POST', `/instances/${instanceId}/agents/${agentId}/messages`, { message: 'hello' });
  return agentId;
}

/** The claim empties the pool, which is filled again a moment later, beside the first messages that are counted. */
async function besideRefill(stack: StackUnderTest) {
  const account = await stack.newAccount();
  await untilMember(stack, 'ready');
  const { instanceId } = await account.ok('POST', '/instances?wait=60', { name: 'bench' });
  const agentId = await newAgentAnswers(account, instanceId, 'first');
  const send = () => account.ok('POST', `/instances/${instanceId}/agents/${agentId}/messages`, { message: 'hello' });
  const [quiet, beside]: [number[], number[]] = [[], []];
  await untilMember(stack, 'warming');
  while (beside.length < MESSAGES && (await membersIn(stack, 'warming')) > 0) beside.push(await timed(send));
  await untilMember(stack, 'ready');
  for (let count = 0; count < MESSAGES; count += 1) quiet.push(await timed(send));
  return { quiet, beside };
}

type MemberState = 'warming' | 'ready';

async function membersIn({ operator }: StackUnderTest, state: MemberState): Promise<number> {
  return (await operator.ok('GET', `/admin/runtimes?state=${state}`)).runtimes.length;
}

async function untilMember(stack: StackUnderTest, state: MemberState): Promise<void> {
  await eventually(async () => {
    if ((await membersIn(stack, state)) === 0) throw new Error(`No gateway of the pool is ${state}`);
  }, READY_MS);
}
