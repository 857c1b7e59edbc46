import { writeFileSync } from 'node:fs';
import { relative } from 'node:path';
import { stripVTControlCharacters } from 'node:util';

const SLOWEST = 10;

/** The part of Jest's results that is used here. */
interface RunResults {
  numPassedTests: number;
  numFailedTests: number;
  numRuntimeErrorTestSuites: number;
  testResults: {
    testFilePath: string;
    failureMessage?: string | null;
    testResults: { fullName: string; status: string; duration?: number | null; failureMessages: string[] }[];
  }[];
}

/** Ends a run with its slowest tests, what failed and one line of totals. TEST_TOTALS_FILE, when set, gets the totals as JSON. */
export default class TotalsReporter {
  onRunComplete(_contexts: unknown, results: RunResults): void {
    const passed = results.numPassedTests;
    // A file that cannot be run has no tests to fail, so it counts as one itself.
    const failed = results.numFailedTests + results.numRuntimeErrorTestSuites;
    const lines = [
      '',
      'The slowest tests:',
      ...slowest(results),
      '',
      ...failures(results),
      `${passed} passed, ${failed} failed`,
      '',
    ];
    process.stdout.write(lines.join('\n'));
    const file = process.env['TEST_TOTALS_FILE'];
    if (file) writeFileSync(file, JSON.stringify({ passed, failed }));
  }
}

function slowest({ testResults }: RunResults): string[] {
  const tests = testResults.flatMap((file) =>
    file.testResults.map(({ fullName, duration }) => ({ name: fullName, seconds: (duration ?? 0) / 1000 })),
  );
  return tests
    .toSorted((one, other) => other.seconds - one.seconds)
    .slice(0, SLOWEST)
    .map(({ name, seconds }) => `${seconds.toFixed(1).padStart(7)} s  ${name}`);
}

/** A long log is often read from its end, so what failed stands there once more: the test and the first line of why. */
function failures({ testResults }: RunResults): string[] {
  return testResults.flatMap(({ testFilePath, failureMessage, testResults: tests }) => {
    const path = relative(process.cwd(), testFilePath);
    const failed = tests.filter(({ status }) => status === 'failed');
    if (tests.length === 0 && failureMessage) return [`FAILED: ${path}: ${firstLine(failureMessage)}`];
    return failed.map(({ fullName, failureMessages }) => `FAILED: ${path}: ${fullName}: ${firstLine(failureMessages[0])}`);
  });
}

function firstLine(message = ''): string {
  return stripVTControlCharacters(message).trim().split('\n', 1)[0] ?? '';
}
