import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { campaignRounds, createDice, describeCounts, reportCampaign } from '../support/campaign.ts';
import { installScriptedOpenClaw } from '../support/stand-in-openclaw.ts';
import type { StandIn } from '../support/stand-in-openclaw.ts';
import { startStack } from '../support/stack-under-test.ts';
import type { ProcessName, StackUnderTest } from '../support/stack-under-test.ts';
import { FLOOD_NAMES } from '../support/two-tenants/floods.ts';
import { PRODUCT_LIMITS } from '../support/two-tenants/product-limits.ts';
import { startFlood } from '../support/two-tenants/start-flood.ts';
import { newTenant, useAs } from '../support/two-tenants/tenant.ts';
import type { Tenant } from '../support/two-tenants/tenant.ts';

const ROUNDS = campaignRounds();
const LONG_MS = 600_000;
/** Long enough for every flood to be under way. */
const FLOOD_MS = 4_000 * ROUNDS;
const PROCESSES: readonly ProcessName[] = ['api', 'worker', 'relay'];

let openClaw: StandIn;
let stack: StackUnderTest;
let neighbour: Tenant;
let pids: number[];
const dice = createDice('two tenants');
const counts = { calls: 0, floods: 0 };

beforeAll(async () => {
  openClaw = await installScriptedOpenClaw();
  stack = await startStack({ openClaw, env: PRODUCT_LIMITS });
  pids = PROCESSES.map((name) => stack.pidOf(name));
  neighbour = await newTenant(stack);
});
afterAll(async () => {
  await stack?.close();
  await openClaw?.remove();
});

test.each(FLOOD_NAMES.map((name) => ({ name, place: dice.next() })).toSorted((a, b) => a.place - b.place))(
  'while one customer floods with $name, every read and message of another one succeeds',
  async ({ name }) => {
    const flooding = await newTenant(stack);
    const flood = startFlood(name, flooding.place);
    const uses = await useAs(neighbour, FLOOD_MS);
    const answers = await flood.stop();
    await flooding.leave();
    expect(uses.filter(({ status }) => status !== 200)).toEqual([]);
    expect(Object.keys(answers).filter((status) => status === '500')).toEqual([]);
    for (const pid of pids) expect(() => process.kill(pid, 0)).not.toThrow();
    counts.floods += 1;
    counts.calls += uses.length;
    process.stderr.write(`two tenants: ${name}: ${describeCounts(answers)}\n`);
  },
  LONG_MS,
);

test('reports what was done', async () => {
  const outcome = `${counts.floods} floods of one customer; ${counts.calls} calls of another one, all of which succeeded`;
  await reportCampaign({ name: 'two tenants', seed: dice.seed, counts, outcome, file: import.meta.filename });
});
