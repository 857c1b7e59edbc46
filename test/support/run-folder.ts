import { mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';

export const RUN_VARIABLE = 'THERMIDORA_TEST_RUN';

/** The folder of this run. */
export function testRunDir(): string {
  const directory = process.env[RUN_VARIABLE];
  if (!directory) throw new Error('No test run is open: test/support/test-run.ts opens one.');
  return directory;
}

/** Makes a folder for one test file in that of the run. A process with a path of it in its environment does not outlive the run. */
export const runFolder = (name: string): Promise<string> => mkdtemp(join(testRunDir(), `${name}-`));

/** Environment variables by which a process that knows no folder of the run does not outlive it either. */
export const ofThisRun = (): Record<string, string> => ({ [RUN_VARIABLE]: testRunDir() });
