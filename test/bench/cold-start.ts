import { bareColdStart } from './bare-cold-start.ts';
import { timed } from './bench.ts';
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
    let instanceId = '';
    ours.push(
      await timed(async () => {
        ({ instanceId } = await account.ok('POST', '/instances', { name: 'bench' }));
        const agent = { name: 'a', slug: 'agent', displayName: 'A' };
        const { agentId } = await account.ok('POST', `/instances/${instanceId}/agents`, agent);
        await account.ok('GET', `/instances/${instanceId}/wait?status=running&timeout=60`);
        await account.ok('POST', `/instances/${instanceId}/agents/${agentId}/messages`, { message: 'hello' });
      }),
    );
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
