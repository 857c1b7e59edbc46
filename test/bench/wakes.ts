import { setTimeout as sleep } from 'node:timers/promises';
import { createOrm } from '../../database/orm.ts';
import { layoutOf } from '../../runtime/host/runtime-layout.ts';
import { readSwap } from '../../runtime/host/swap-room.ts';
import { processesOf } from '../../runtime/process/runtime-processes.ts';
import { eventually } from '../support/eventually.ts';
import { newAgent } from '../support/patient-client.ts';
import { sharesOf } from '../support/resident-memory.ts';
import { startStack } from '../support/stack-under-test.ts';
import type { StackUnderTest } from '../support/stack-under-test.ts';
import { timed } from './bench.ts';
import { median } from './table.ts';
import type { Row } from './table.ts';

interface Options {
  rounds: number;
  say(sentence: string): void;
  /** What a bare gateway takes from its start to its first answer. */
  bareMs: number;
  /** Whether one that slept for ten minutes is woken too. */
  isLong: boolean;
}

/** How long each sleeps before it is woken, and what it may take then. */
const SHORT = { asleepMs: 10_000, goalMs: 1_000 };
const LONG = { asleepMs: 10 * 60_000, goalMs: 2_000 };
const MOST_LONG_ROUNDS = 3;

/** What the platform may add to the start of a bare gateway. */
const OVER_BARE_MS = 700;
const WAIT_MS = 3 * 60_000;

/** From a message to a sleeper to its answer, by how its gateway sleeps, and what a suspended gateway takes of the machine. */
export async function measureWakes({ rounds, say, bareMs, isLong }: Options): Promise<Row[]> {
  const isWithSwap = (await readSwap()).totalBytes > 0;
  if (!isWithSwap) say('  without swap no gateway is suspended: `scripts/zram.sh start` gives the machine some');
  const stack = await startStack({ env: { SUSPEND: 'auto' } });
  try {
    const sleeper = await newSleeper(stack);
    const suspended = isWithSwap ? await wakeSuspended(sleeper, { rounds, say, ...SHORT }) : [];
    const longRounds = Math.min(rounds, MOST_LONG_ROUNDS);
    if (isWithSwap && isLong) suspended.push(...(await wakeSuspended(sleeper, { rounds: longRounds, say, ...LONG })));
    const stopped: number[] = [];
    for (let round = 1; round <= rounds; round += 1) {
      await sleeper.asleep('stopped');
      stopped.push(await timed(sleeper.ask));
      say(`  round ${round}: answered ${Math.round(stopped.at(-1) ?? 0)} ms after a sleep without a gateway`);
    }
    const goal = 'bare + 700';
    const what = 'message to a sleeper that was stopped, to its answer';
    return [
      ...suspended,
      { what, values: stopped, unit: 'ms', goal: `p50 <= ${goal}`, reached: median(stopped) <= bareMs + OVER_BARE_MS },
    ];
  } finally {
    await stack.close();
  }
}

interface Sleeper {
  ask(): Promise<unknown>;
  asleep(how: 'suspended' | 'stopped'): Promise<void>;
  memory(): Promise<{ residentMiB: number; swappedMiB: number }>;
}

async function newSleeper(stack: StackUnderTest): Promise<Sleeper> {
  const account = await stack.newAccount();
  const { instanceId } = await account.ok('POST', '/instances', { name: 'bench', sleepAfterMs: 60_000 });
  const { path } = await newAgent(account, instanceId);
  const change = async (statement: string): Promise<void> => {
    const orm = await createOrm(stack.databaseUrl);
    await orm.em.fork().execute(`update instances set ${statement}`, [], 'run');
    await orm.close();
  };
  const [runtime] = await stack.driver.list();
  if (!runtime) throw new Error('There is no gateway');
  const { runtimeId } = runtime;
  const ask = () => account.ok('POST', path, { message: 'hello', timeoutMs: WAIT_MS });
  const untilIts = (state: string) =>
    eventually(async () => {
      const { runtimes } = await stack.operator.ok('GET', `/admin/runtimes?state=${state}`);
      if (runtimes.length === 0) throw new Error(`The gateway is not ${state}`);
    }, WAIT_MS);
  await ask();
  return {
    ask,
    async asleep(how) {
      // A minute without use is too long for a bench.
      await change('sleep_after_ms = 500');
      await untilIts(how === 'suspended' || (await readSwap()).totalBytes > 0 ? 'suspended' : 'stopped');
      await change(`sleep_after_ms = 600000${how === 'stopped' ? `, suspended_at = suspended_at - interval '1 day'` : ''}`);
      await untilIts(how);
      const isDone = how === 'suspended' ? 'suspended' : 'exited';
      await eventually(async () => {
        if ((await stack.driver.inspect(runtimeId)).status !== isDone) throw new Error(`The gateway is not ${isDone}`);
      }, WAIT_MS);
    },
    memory: async () => sharesOf(await processesOf(layoutOf(stack.dataDir, runtimeId))),
  };
}

async function wakeSuspended(
  sleeper: Sleeper,
  { rounds, say, asleepMs, goalMs }: Pick<Options, 'rounds' | 'say'> & typeof SHORT,
): Promise<Row[]> {
  const [answered, resident, swapped]: [number[], number[], number[]] = [[], [], []];
  const seconds = Math.round(asleepMs / 1_000);
  for (let round = 1; round <= rounds; round += 1) {
    await sleeper.asleep('suspended');
    await sleep(asleepMs);
    const { residentMiB, swappedMiB } = await sleeper.memory();
    resident.push(residentMiB);
    swapped.push(swappedMiB);
    answered.push(await timed(sleeper.ask));
    const memory = `${Math.round(residentMiB)} MB in memory, ${Math.round(swappedMiB)} MB in swap`;
    say(`  round ${round}: answered ${Math.round(answered.at(-1) ?? 0)} ms after ${seconds} s suspended, with ${memory}`);
  }
  return [
    {
      what: `message to a sleeper that was suspended for ${seconds} s, to its answer`,
      values: answered,
      unit: 'ms',
      goal: `p50 <= ${goalMs}`,
      reached: median(answered) <= goalMs,
    },
    {
      what: `memory of an instance that is suspended for ${seconds} s`,
      values: resident,
      unit: 'MB',
      goal: 'p50 <= 20',
      reached: median(resident) <= 20,
    },
    {
      what: `swap of one that is suspended for ${seconds} s, before compression`,
      values: swapped,
      unit: 'MB',
      goal: 'said',
      reached: null,
    },
  ];
}
