import { readFile } from 'node:fs/promises';
import { createOrm } from '../../database/orm.ts';
import { readSwap } from '../../runtime/host/swap-room.ts';
import { newAgent } from '../support/patient-client.ts';
import { startStack } from '../support/stack-under-test.ts';
import type { StackUnderTest } from '../support/stack-under-test.ts';
import { timed } from './bench.ts';
import type { Account } from './cold-start.ts';
import { median, percentile } from './table.ts';
import type { Row } from './table.ts';

interface Options {
  say(sentence: string): void;
  /** How many instances there are. */
  instances?: number;
  /** How many of them are asked at a time. */
  atOnce?: number;
  /** How long messages come. */
  forMs?: number;
}

const ANSWER_MS = 5 * 60_000;
/** An instance that is not asked again sleeps soon, so that few are awake. */
const SLEEP_AFTER_MS = 3_000;
/** Gateways that run at once: those that are asked, and those that fall asleep. */
const SPARE_SLOTS = 3;
const SAID_EVERY = 10;
/** More of the time than this in which nothing at all could go on for want of memory is a swap storm. */
const MOST_STALLED = 0.1;

/**
 * Many instances on this machine, of which a few are awake: messages to instances by random, each the next one as soon as the one before
 * is answered. Takes about 20 s for each instance, and then the time in which messages come.
 */
export async function measureCrowd({ say, instances = 100, atOnce = 5, forMs = 10 * 60_000 }: Options): Promise<Row[]> {
  const stack = await startStack({ env: { SUSPEND: 'auto', MAX_RUNNING: String(atOnce + SPARE_SLOTS) } });
  try {
    const account = await stack.newAccount();
    const paths = await makeAll(stack, account, { instances, say });
    say(`  ${instances} instances: ${await standing(stack)}`);
    const before = await stalledMs();
    const { times, unanswered } = await askAtRandom(account, paths, { atOnce, forMs });
    const stalled = ((await stalledMs()) - before) / forMs;
    say(`  after ${times.length} messages: ${await standing(stack)}; ${(100 * stalled).toFixed(1)} % of the time stalled`);
    const what = `message to one of ${instances} instances by random, ${atOnce} at once for ${Math.round(forMs / 60_000)} min, to its answer`;
    const goal = 'all answered, no swap storm';
    say(`  p50 ${Math.round(median(times))} ms, p99 ${Math.round(percentile(times, 0.99))} ms, ${unanswered} not answered`);
    return [{ what, values: times, unit: 'ms', goal, reached: unanswered === 0 && stalled <= MOST_STALLED }];
  } finally {
    await stack.close();
  }
}

/** One after the other: each takes nearly a gigabyte until it sleeps. */
async function makeAll(
  stack: StackUnderTest,
  account: Account,
  { instances, say }: Pick<Required<Options>, 'instances' | 'say'>,
): Promise<string[]> {
  const orm = await createOrm(stack.databaseUrl);
  const paths: string[] = [];
  try {
    while (paths.length < instances) {
      const { instanceId } = await account.ok('POST', '/instances', { name: `bench ${paths.length}`, sleepAfterMs: 60_000 });
      const { path } = await newAgent(account, instanceId);
      await account.ok('POST', path, { message: 'hello', timeoutMs: ANSWER_MS });
      // A minute without use is too long for a bench.
      await orm.em.fork().execute('update instances set sleep_after_ms = ? where id = ?', [SLEEP_AFTER_MS, instanceId], 'run');
      paths.push(path);
      if (paths.length % SAID_EVERY === 0) say(`  ${paths.length} instances: ${await standing(stack)}`);
    }
  } finally {
    await orm.close();
  }
  return paths;
}

async function askAtRandom(
  account: Account,
  paths: readonly string[],
  { atOnce, forMs }: Pick<Required<Options>, 'atOnce' | 'forMs'>,
): Promise<{ times: number[]; unanswered: number }> {
  const over = AbortSignal.timeout(forMs);
  const idle = new Set(paths);
  const times: number[] = [];
  let unanswered = 0;
  const askOn = async (): Promise<void> => {
    while (!over.aborted) {
      const path = [...idle][Math.floor(Math.random() * idle.size)];
      if (path === undefined) throw new Error('There are fewer instances than messages at once');
      idle.delete(path);
      const ask = () => account.ok('POST', path, { message: 'hello', timeoutMs: ANSWER_MS });
      await timed(ask).then(
        (ms) => times.push(ms),
        () => (unanswered += 1),
      );
      idle.add(path);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, askOn));
  return { times, unanswered };
}

/** How the gateways are, and what is left of the machine. */
async function standing({ operator }: StackUnderTest): Promise<string> {
  const count = async (state: string): Promise<number> =>
    (await operator.ok('GET', `/admin/runtimes?state=${state}&limit=100`)).runtimes.length;
  const [awake, suspended, stopped] = await Promise.all([count('awake'), count('suspended'), count('stopped')]);
  const [memory, swap] = [await readFile('/proc/meminfo', 'utf8'), await readSwap()];
  const freeMb = Math.round(Number(/^MemAvailable:\s+(\d+) kB$/m.exec(memory)?.[1]) / 1024);
  const freeSwapMb = Math.round(swap.freeBytes / 1024 ** 2);
  return `${awake} awake, ${suspended} suspended, ${stopped} stopped, ${freeMb} MB of memory and ${freeSwapMb} MB of swap free`;
}

/** For how long nothing could go on for want of memory, since the machine started; 0 where Linux does not count it. */
async function stalledMs(): Promise<number> {
  const pressure = await readFile('/proc/pressure/memory', 'utf8').catch(() => '');
  return Number(/^full .*total=(\d+)$/m.exec(pressure)?.[1] ?? 0) / 1_000;
}
