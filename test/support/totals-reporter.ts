import { existsSync, writeFileSync } from 'node:fs';
import { relative } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { writeDurations } from './durations.ts';
import { LANES, laneOf, testFiles } from './lanes.ts';
import { count } from './test-plan.ts';

const SLOWEST = 10;

/** The part of Jest's results that is used here. */
interface RunResults {
  numPassedTests: number;
  numFailedTests: number;
  numRuntimeErrorTestSuites: number;
  numTotalTestSuites: number;
  testResults: {
    testFilePath: string;
    perfStats: { runtime: number };
    failureMessage?: string | null;
    testResults: { fullName: string; status: string; duration?: number | null; failureMessages: string[] }[];
  }[];
}

/**
 * Ends a run with what each lane took, its slowest files and tests, what failed, how that is run alone, and one line of totals.
 * TEST_TOTALS_FILE, when set, gets the totals as JSON; RECORD_DURATIONS lets the durations of the files be recorded.
 */
export default class TotalsReporter {
  onRunComplete(_contexts: unknown, results: RunResults): void {
    const passed = results.numPassedTests;
    // A file that cannot be run has no tests to fail, so it counts as one itself.
    const failed = results.numFailedTests + results.numRuntimeErrorTestSuites;
    const lines = [
      '',
      ...lanesOf(results),
      '',
      'The slowest files, and how each is run alone:',
      ...slowest(filesOf(results).map(({ name, seconds }) => ({ name: `npm test -- ${name}`, seconds }))),
      '',
      'The slowest tests:',
      ...slowest(testsOf(results)),
      '',
      ...failures(results),
      ...alone(results),
      ...leftOut(results),
      `${passed} passed, ${failed} failed`,
      '',
    ];
    process.stdout.write(lines.join('\n'));
    const file = process.env['TEST_TOTALS_FILE'];
    if (file) writeFileSync(file, JSON.stringify({ passed, failed }));
    if (process.env['RECORD_DURATIONS']) {
      const whole = { ...results, testResults: results.testResults.filter(({ failureMessage }) => !failureMessage) };
      const measured = filesOf(whole).map(({ name, seconds }) => [name, Math.round(seconds * 10) / 10] as const);
      writeDurations(Object.fromEntries(measured), existsSync);
    }
  }
}

interface Timed {
  name: string;
  seconds: number;
}

function filesOf({ testResults }: RunResults): Timed[] {
  return testResults.map(({ testFilePath, perfStats }) => ({ name: pathOf(testFilePath), seconds: perfStats.runtime / 1000 }));
}

/** Files of a lane run beside those of others, so that their seconds are more than the run took. */
function lanesOf({ testResults }: RunResults): string[] {
  const needsOf = testFiles(process.cwd());
  const lanes = Map.groupBy(testResults, ({ testFilePath }) => laneOf(needsOf.get(pathOf(testFilePath)) ?? new Set()));
  const rows = LANES.flatMap((lane) => {
    const of = lanes.get(lane) ?? [];
    const tests = of.reduce((sum, file) => sum + file.testResults.length, 0);
    const seconds = of.reduce((sum, file) => sum + file.perfStats.runtime / 1000, 0);
    return of.length === 0 ? [] : [[lane, `${of.length}`, `${tests}`, seconds.toFixed(0)]];
  });
  return [['lane', 'files', 'tests', 'seconds'], ...rows].map(
    ([lane = '', ...numbers]) => lane.padEnd(9) + numbers.map((number) => number.padStart(8)).join(''),
  );
}

function testsOf({ testResults }: RunResults): Timed[] {
  return testResults.flatMap((file) =>
    file.testResults.map(({ fullName, duration }) => ({ name: fullName, seconds: (duration ?? 0) / 1000 })),
  );
}

function slowest(timed: readonly Timed[]): string[] {
  return timed
    .toSorted((one, other) => other.seconds - one.seconds)
    .slice(0, SLOWEST)
    .map(({ name, seconds }) => `${seconds.toFixed(1).padStart(7)} s  ${name}`);
}

/** A long log is often read from its end, so what failed stands there once more: the test and the first line of why. */
function failures({ testResults }: RunResults): string[] {
  return testResults.flatMap(({ testFilePath, failureMessage, testResults: tests }) => {
    const path = pathOf(testFilePath);
    const failed = tests.filter(({ status }) => status === 'failed');
    if (tests.length === 0 && failureMessage) return [`FAILED: ${path}: ${firstLine(failureMessage)}`];
    return failed.map(({ fullName, failureMessages }) => `FAILED: ${path}: ${fullName}: ${firstLine(failureMessages[0])}`);
  });
}

function alone({ testResults }: RunResults): string[] {
  const failed = testResults.filter(({ failureMessage }) => failureMessage).map(({ testFilePath }) => pathOf(testFilePath));
  return failed.length === 0 ? [] : ['', ...failed.map((path) => `To run it alone: npm test -- ${path}`), ''];
}

function leftOut({ numTotalTestSuites, testResults }: RunResults): string[] {
  const files = numTotalTestSuites - testResults.length;
  return files === 0 ? [] : [`${count(files, 'test file')} did not run.`, ''];
}

function pathOf(testFilePath: string): string {
  return relative(process.cwd(), testFilePath);
}

function firstLine(message = ''): string {
  return stripVTControlCharacters(message).trim().split('\n', 1)[0] ?? '';
}
