import { createRequire } from 'node:module';
import { totalmem } from 'node:os';
import { relative } from 'node:path';
import type JestRunner from 'jest-runner';
import type {
  Config,
  EmittingTestRunner,
  EmittingTestRunnerInterface,
  Test,
  TestEvents,
  TestRunnerContext,
  TestWatcher,
  UnsubscribeFn,
} from 'jest-runner';
import { testFiles } from './lanes.ts';
import { prepareTests } from './prepare-tests.ts';
import { readDurations } from './durations.ts';
import { count, describePlan, poolsOf, secondsOf } from './test-plan.ts';
import type { PlannedFile, Pool } from './test-plan.ts';
import { closeTestRun, openTestRun } from './test-run.ts';

// Its types are those of `require`, whose default export is not what `import` gives.
const jestRunner: typeof JestRunner = createRequire(import.meta.url)('jest-runner');

/** A worker above this many bytes after a file is ended and a new one begun. */
const REUSED_WORKER_BYTES = 1024 ** 3;

interface LanedTest extends PlannedFile {
  test: Test;
}

type Subscribe = (runner: EmittingTestRunner) => void;

/**
 * Jest's runner, for each pool of the plan: says what it runs, installs what that needs, and runs the pools at the same
 * time, but for those that come last.
 */
export default class LaneRunner implements EmittingTestRunnerInterface {
  readonly supportsEventEmitters = true;
  readonly #config: Config.GlobalConfig;
  readonly #context: TestRunnerContext;
  readonly #subscriptions = new Set<Subscribe>();

  constructor(config: Config.GlobalConfig, context: TestRunnerContext) {
    this.#config = config;
    this.#context = context;
  }

  on<Name extends keyof TestEvents>(name: Name, listener: (data: TestEvents[Name]) => void | Promise<void>): UnsubscribeFn {
    const subscribe: Subscribe = (runner) => void runner.on(name, listener);
    this.#subscriptions.add(subscribe);
    return () => void this.#subscriptions.delete(subscribe);
  }

  /** Throws when this machine can run none of them, or lacks what no run goes without. */
  async runTests(tests: Test[], watcher: TestWatcher): Promise<void> {
    const { files, leftOut } = await prepareTests(planned(tests));
    const pools = poolsOf(files, this.#config.maxWorkers, totalmem());
    const without = leftOut.map(({ files: of, reason }) => `Left out: ${count(of.length, 'test file')}. ${reason}`);
    process.stdout.write(['', ...describePlan(pools), ...without, '', ''].join('\n'));
    if (files.length === 0) throw new Error('None of the chosen tests can run on this machine.');
    await openTestRun();
    try {
      for (const isLast of [false, true])
        await Promise.all(pools.filter(({ runsLast }) => runsLast === isLast).map((pool) => this.#runPool(pool, watcher)));
    } finally {
      await closeTestRun();
    }
  }

  async #runPool(pool: Pool<LanedTest>, watcher: TestWatcher): Promise<void> {
    const { files, workers, shared } = pool;
    if (files.length > 0) await this.#run(files, pool, watcher);
    await Promise.all(Array.from({ length: workers }, () => this.#takeFrom(shared, watcher)));
  }

  /** One worker, which takes one file after the other until none is left. */
  async #takeFrom(shared: LanedTest[], watcher: TestWatcher): Promise<void> {
    while (!watcher.isInterrupted()) {
      const file = shared.shift();
      if (!file) return;
      await this.#run([file], { workers: 1, reusesProcesses: false }, watcher);
    }
  }

  async #run(
    files: readonly LanedTest[],
    { workers, reusesProcesses }: Pick<Pool<LanedTest>, 'workers' | 'reusesProcesses'>,
    watcher: TestWatcher,
  ): Promise<void> {
    const config = { ...this.#config, maxWorkers: workers };
    if (reusesProcesses) config.workerIdleMemoryLimit = REUSED_WORKER_BYTES;
    const runner = new jestRunner.default(config, this.#context);
    for (const subscribe of this.#subscriptions) subscribe(runner);
    const tests = files.map(({ test }) => test);
    await runner.runTests(tests, watcher, { serial: this.#config.runInBand });
  }
}

function planned(tests: readonly Test[]): LanedTest[] {
  const rootDir = tests[0]?.context.config.rootDir ?? '.';
  const needsOf = testFiles(rootDir);
  const measured = readDurations();
  return tests.map((test) => {
    const path = relative(rootDir, test.path);
    const needs = needsOf.get(path) ?? new Set();
    return { test, path, needs, seconds: secondsOf({ path, needs, lastMs: test.duration }, measured) };
  });
}
