import { readdir } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { MikroORM } from '@mikro-orm/postgresql';
import { createOrm } from '../../database/orm.ts';
import { verifyBilling } from '../../database/billing/verify-billing.ts';
import { createDice, describeCounts, reportCampaign } from '../support/campaign.ts';
import type { Dice } from '../support/campaign.ts';
import { residentMiB } from '../support/resident-memory.ts';
import { startStack } from '../support/stack-under-test.ts';
import type { ProcessName, StackUnderTest } from '../support/stack-under-test.ts';
import { closeTestRun, openTestRun } from '../support/test-run.ts';
import { makeWorld, runMixedLoad } from './mixed-load.ts';
import { Recording } from './record.ts';

const MINUTES = Number(process.env['MINUTES'] ?? 20);
/** In the last part of the run the API lives on, so that it can be seen whether it grows. */
const API_LIVES_FROM = 0.5;
const KILL_EVERY_MS = 40_000;
const READ_P99_MS = 100;
const MAY_GROW_MIB = 40;
const MAY_OPEN_MORE = 20;

interface Footprint {
  mebibytes: number;
  files: number;
  connections: number;
}

async function footprint(stack: StackUnderTest, orm: MikroORM): Promise<Footprint> {
  const pid = stack.pidOf('api');
  const [row] = await orm.em
    .fork()
    .execute<{ count: number }[]>('select count(*)::float8 as count from pg_stat_activity where datname = current_database()');
  const mebibytes = await residentMiB(pid);
  return { mebibytes, files: (await readdir(`/proc/${pid}/fd`)).length, connections: row?.count ?? Number.NaN };
}

type Summary = Awaited<ReturnType<typeof judge>>['summary'];

/** Kills one part after the other at random moments and starts it again. */
async function killParts(
  stack: StackUnderTest,
  dice: Dice,
  recording: Recording,
  { until, apiUntil }: { until: number; apiUntil: number },
) {
  for (;;) {
    await sleep(KILL_EVERY_MS * (0.5 + dice.next()));
    if (performance.now() >= until - KILL_EVERY_MS) return;
    const parts: ProcessName[] = performance.now() < apiUntil ? ['api', 'worker', 'relay'] : ['worker', 'relay'];
    const part = dice.pick(parts);
    const isBack = recording.disturbed(part);
    await stack.kill(part);
    await sleep(dice.below(2_000));
    await stack.start(part);
    isBack();
    const minutesLeft = Math.ceil((until - performance.now()) / 60_000);
    process.stderr.write(`mixed load: ${part} was killed and is back; ${minutesLeft} of ${MINUTES} minutes are left\n`);
  }
}

async function run(stack: StackUnderTest, orm: MikroORM, dice: Dice) {
  const recording = new Recording();
  const world = await makeWorld(await stack.newAccount('1000'));
  const durationMs = MINUTES * 60_000;
  const begun = performance.now();
  const [until, apiUntil] = [begun + durationMs, begun + durationMs * API_LIVES_FROM];
  const ended = new AbortController();
  const load = runMixedLoad(world, dice, recording, ended.signal);
  const kills = killParts(stack, dice, recording, { until, apiUntil });
  // A quarter of the rest is enough to be warm.
  await sleep(durationMs * (API_LIVES_FROM + (1 - API_LIVES_FROM) / 4));
  const before = await footprint(stack, orm);
  await Promise.all([sleep(until - performance.now()), kills]);
  const after = await footprint(stack, orm);
  ended.abort();
  const { said } = await load;
  return { ...(await judge(stack, orm, recording, { before, after, said })) };
}

async function judge(
  stack: StackUnderTest,
  orm: MikroORM,
  recording: Recording,
  { before, after, said }: { before: Footprint; after: Footprint; said: string[] },
) {
  const problems = recording.problems();
  const reads = recording.quietReads();
  if (reads.p99 >= READ_P99_MS) problems.push(`reads took ${reads.p99.toFixed(0)} ms at the 99th percentile`);
  if (after.mebibytes - before.mebibytes > MAY_GROW_MIB) problems.push('the API grew');
  if (after.files - before.files > MAY_OPEN_MORE) problems.push('the API left files or sockets open');
  if (after.connections - before.connections > MAY_OPEN_MORE) problems.push('connections to the database piled up');
  const answered = new Map<string, number>();
  for (const { lastUserText } of stack.model.calls) answered.set(lastUserText, (answered.get(lastUserText) ?? 0) + 1);
  const asked = said.map((text) =>
    [...answered].filter(([seen]) => seen.includes(`${text} [[`)).reduce((sum, [, n]) => sum + n, 0),
  );
  const { problems: wrongBills, ...bills } = await verifyBilling(orm.em.fork());
  problems.push(...wrongBills);
  const summary = {
    minutes: MINUTES,
    kills: recording.kills(),
    answers: recording.counts(),
    readsOutsideKills: reads,
    apiBefore: before,
    apiAfter: after,
    messagesAnswered: said.length,
    ofThoseAskedOfTheModelOnce: asked.filter((count) => count === 1).length,
    intervals: bills.intervals,
    ledgerLines: bills.lines,
  };
  return { summary, problems };
}

async function report({ kills, answers, readsOutsideKills: reads, messagesAnswered, ledgerLines }: Summary, { seed }: Dice) {
  const calls = Object.values(answers).reduce((sum, count) => sum + count, 0);
  const outcome = [
    `${MINUTES} minutes, killed: ${describeCounts(kills)}; ${calls} calls, ${messagesAnswered} messages answered`,
    `reads outside kills p99 ${reads.p99.toFixed(1)} ms; ${ledgerLines} ledger lines, 0 differences`,
  ].join('; ');
  const command = `MINUTES=${MINUTES} SEED=${seed} npm run campaign:load`;
  await reportCampaign({
    name: 'mixed load',
    seed,
    counts: { calls, messages: messagesAnswered, lines: ledgerLines },
    outcome,
    command,
  });
}

await openTestRun();
try {
  const stack = await startStack();
  const orm = await createOrm(stack.databaseUrl);
  try {
    const dice = createDice('mixed load');
    const { summary, problems } = await run(stack, orm, dice);
    process.stdout.write(`${JSON.stringify(summary, null, 2)}\n`);
    for (const problem of problems.slice(0, 50)) process.stderr.write(`${problem}\n`);
    process.stdout.write(problems.length === 0 ? 'As it must be.\n' : `${problems.length} problems.\n`);
    process.exitCode = problems.length === 0 ? 0 : 1;
    if (problems.length === 0) await report(summary, dice);
  } finally {
    await orm.close();
    await stack.close();
  }
} finally {
  await closeTestRun();
}
