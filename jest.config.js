import { readdirSync } from 'node:fs';
import { TEST_LIMIT_MS } from './test/support/eventually.ts';
import { LANES, laneOf, testFiles } from './test/support/lanes.ts';

const rootDir = import.meta.dirname;
const lanes = Map.groupBy(testFiles(rootDir).entries(), ([, needs]) => laneOf(needs));
const chosen = process.env['LANES']?.split(',') ?? LANES;
const unknown = chosen.filter((lane) => !LANES.includes(lane));
if (unknown.length > 0) throw new Error(`LANES names ${unknown.join(', ')}. There are ${LANES.join(', ')}.`);

/** Not what is installed or kept. */
const roots = readdirSync(rootDir, { withFileTypes: true })
  .filter((entry) => entry.isDirectory() && entry.name !== 'node_modules' && !entry.name.startsWith('.'))
  .map(({ name }) => `<rootDir>/${name}`);

/**
 * A project per lane (test/support/lanes.ts), or those of LANES. Jest strips the types itself: no transform. Servers start
 * when a test asks for one, once per run.
 */
export default {
  projects: chosen.map((lane) => ({
    displayName: lane,
    rootDir,
    roots,
    testMatch: (lanes.get(lane) ?? []).map(([file]) => `<rootDir>/${file}`),
    extensionsToTreatAsEsm: ['.ts'],
    transform: {},
    testEnvironment: 'node',
    runner: '<rootDir>/test/support/lane-runner.ts',
  })),
  testTimeout: TEST_LIMIT_MS,
  reporters: ['default', '<rootDir>/test/support/totals-reporter.ts'],
  // As many as there are processors; the runner divides them among the lanes.
  maxWorkers: '100%',
  // Each file in a new process (any Node is over this limit): Temporal's native library keeps its runtime for as long as
  // the process lives. The runner lets unit and database tests share processes.
  workerIdleMemoryLimit: '32MB',
  // Half a second is the default, and on a busy machine a process needs more to end: a warning of Jest's is about a leak.
  workerGracefulExitTimeout: 10_000,
};
