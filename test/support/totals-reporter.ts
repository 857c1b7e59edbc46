import { writeFileSync } from 'node:fs';

const SLOWEST = 10;

/** The part of Jest's results that is used here. */
interface RunResults {
  numPassedTests: number;
  numFailedTests: number;
  numRuntimeErrorTestSuites: number;
  testResults: { testResults: { fullName: string; duration?: number | null }[] }[];
}

/** Ends a run with its slowest tests and one line of totals. TEST_TOTALS_FILE, when set, gets the totals as JSON. */
export default class TotalsReporter {
  onRunComplete(_contexts: unknown, { testResults, ...results }: RunResults): void {
    const tests = testResults.flatMap((file) =>
      file.testResults.map(({ fullName, duration }) => ({ name: fullName, seconds: (duration ?? 0) / 1000 })),
    );
    const slowest = tests.toSorted((one, other) => other.seconds - one.seconds).slice(0, SLOWEST);
    const passed = results.numPassedTests;
    // A file that cannot be run has no tests to fail, so it counts as one itself.
    const failed = results.numFailedTests + results.numRuntimeErrorTestSuites;
    const lines = slowest.map(({ name, seconds }) => `${seconds.toFixed(1).padStart(7)} s  ${name}`);
    process.stdout.write(`\nThe slowest tests:\n${lines.join('\n')}\n\n${passed} passed, ${failed} failed\n`);
    const file = process.env['TEST_TOTALS_FILE'];
    if (file) writeFileSync(file, JSON.stringify({ passed, failed }));
  }
}
