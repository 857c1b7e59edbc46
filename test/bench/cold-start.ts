import { bareColdStart } from './bare-cold-start.ts';
import type { StackUnderTest } from '../support/stack-under-test.ts';
import type { Bench } from './bench.ts';
import { median } from './table.ts';

/** Of a cold start: everything but the gateway's own time. */
export const OUR_SHARE_MS = 700;

/** From the creation of an instance to its agent's first answer, against a bare gateway that is started and asked. */
export const benchColdStart: Bench = async ({ stack, rounds, say }) => {
  const ours: number[] = [];
  const bare: number[] = [];
  const account = await stack.newAccount();
  for (let round = 1; round <= rounds; round += 1) {
    bare.push(await bareColdStart());
    const { instanceId, ms } = await coldStart(account, 'bench');
    ours.push(ms);
    await account.ok('DELETE', `/instances/${instanceId}`);
    say(`  round ${round}: bare ${Math.round(bare.at(-1) ?? 0)} ms, ours ${Math.round(ours.at(-1) ?? 0)} ms`);
  }
  const limit = median(bare) + OUR_SHARE_MS;
  return [
    { what: 'bare gateway: start to first answer', values: bare, unit: 'ms', goal: 'the baseline', reached: null },
    {
      what: 'create to first answer',
      values: ours,
      unit: 'ms',
      goal: `p50 <= bare + ${OUR_SHARE_MS}`,
      reached: median(ours) <= limit,
    },
  ];
};

export type Account = Awaited<ReturnType<StackUnderTest['newAccount']>>;

/** Creates an instance with an agent and has it answer; `ms` is what all of that took. */
export async function coldStart(account: Account, name: string): Promise<{ instanceId: string; agentId: string; ms: number }> {
  const startedAt = performance.now();
  const { instanceId } = await account.ok('POST', '/instances', { name });
  const { agentId } = await account.ok('POST', `/instances/${instanceId}/agents`, { name: 'a', slug: 'agent', displayName: 'A' });
  for (;;) {
    const { status } = await account.ok('GET', `/instances/${instanceId}/wait?status=running&timeout=60`);
    if (status === 'running') break;
    if (status !== 'provisioning') throw new Error(`${name} is ${status}`);
  }
  await account.ok('POST', `/instances/${instanceId}/agents/${agentId}/messages`, { message: 'hello' });
  return { instanceId, agentId, ms: performance.now() - startedAt };
}
