import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createOrm } from '../../database/orm.ts';
import type { ApiClient } from '../support/api-client.ts';
import { campaignRounds } from '../support/campaign.ts';
import { eventually, PATIENCE_MS } from '../support/eventually.ts';
import { say, untilStatus } from '../support/patient-client.ts';
import { startStack } from '../support/stack-under-test.ts';
import type { StackUnderTest } from '../support/stack-under-test.ts';
import { installDeadlockingOpenClaw } from '../support/stand-in-openclaw.ts';
import type { StandIn } from '../support/stand-in-openclaw.ts';

type Orm = Awaited<ReturnType<typeof createOrm>>;

const AGENTS = 3;
/** The forced order locks a gateway out in about every third turn; in so many it surely does. */
const TURNS = 15;

let openClaw: StandIn;
let stack: StackUnderTest;
let orm: Orm;

beforeAll(async () => {
  openClaw = await installDeadlockingOpenClaw('enforce');
  stack = await startStack({ openClaw });
  orm = await createOrm(stack.databaseUrl);
});
afterAll(async () => {
  await orm?.close();
  await stack?.close();
  await openClaw?.remove();
});

interface Interval {
  startedAt: string;
  endedAt: string | null;
}

const intervalsOf = (instanceId: string): Promise<Interval[]> =>
  orm.em
    .fork()
    .execute<Interval[]>(
      `select started_at as "startedAt", ended_at as "endedAt" from runtime_intervals where instance_id = ? order by started_at`,
      [instanceId],
    );

/** Asks for the instance until this is over, and answers every reason and transition that it showed meanwhile. */
async function reasonsUntil(account: ApiClient, instanceId: string, isOver: () => boolean): Promise<Set<string>> {
  const seen = new Set<string>();
  await eventually(async () => {
    const { statusReason, transition } = await account.ok('GET', `/instances/${instanceId}`);
    if (statusReason) seen.add(`${statusReason.code} ${transition?.kind}`);
    expect(isOver()).toBe(true);
  });
  return seen;
}

async function lockOutOnce(round: number): Promise<void> {
  const account = await stack.newAccount();
  const { instanceId } = await account.ok('POST', '/instances', { name: `round ${round}` });
  await untilStatus(account, instanceId, 'running');
  const sayTo = async (agentId: string, text: string) => {
    const begun = performance.now();
    const answer = await say(account, `/instances/${instanceId}/agents/${agentId}/messages`, { message: text });
    expect(answer.content).toBe(`You said: ${text}`);
    return performance.now() - begun;
  };
  const agents: string[] = [];
  for (let index = 0; index < AGENTS; index += 1) {
    const agent = { name: `a${index}`, slug: `agent-${index}`, displayName: `Agent ${index}` };
    const { agentId } = await account.ok('POST', `/instances/${instanceId}/agents`, agent);
    agents.push(agentId);
  }
  for (let turn = 0; turn < TURNS; turn += 1) {
    let isOver = false;
    const reasons = reasonsUntil(account, instanceId, () => isOver);
    const answered = sayTo(agents[turn % AGENTS]!, `hello ${round}-${turn}.`).finally(() => {
      isOver = true;
    });
    const [tookMs, seen] = await Promise.all([answered, reasons]);
    if ((await intervalsOf(instanceId)).length === 1) continue;
    expect(seen).toContain('gateway_broken recovering');
    for (const agentId of agents) await sayTo(agentId, `still there ${round}.`);
    const [first, second] = await intervalsOf(instanceId);
    const gapMs = Date.parse(second!.startedAt) - Date.parse(first!.endedAt!);
    for (let said = 0; said <= turn; said += 1) expect(stack.model.answered(`hello ${round}-${said}.`)).toBe(1);
    expect(stack.model.answered(`still there ${round}.`)).toBe(AGENTS);
    expect(gapMs).toBeGreaterThan(0);
    const line = `round ${round}: locked out in turn ${turn + 1}, which was answered after ${Math.round(tookMs)} ms`;
    process.stderr.write(`${line}; not charged for ${gapMs} ms\n`);
    await account.ok('DELETE', `/instances/${instanceId}`);
    return;
  }
  throw new Error('The gateway never locked itself out');
}

test(
  'a gateway that locks itself out of its databases is replaced: every message is answered once, and the time is not charged',
  async () => {
    for (let round = 1; round <= campaignRounds(); round += 1) await lockOutOnce(round);
  },
  campaignRounds() * TURNS * PATIENCE_MS,
);
