import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { Need } from './lanes.ts';
import { prepareTests } from './prepare-tests.ts';
import { describePlan, poolsOf, secondsOf } from './test-plan.ts';
import type { PlannedFile } from './test-plan.ts';

const fileOf = (path: string, seconds: number, ...needs: Need[]): PlannedFile => ({ path, seconds, needs: new Set(needs) });
const pure = fileOf('pure', 1);
const rows = fileOf('rows', 20, 'postgres');
const gateway = fileOf('gateway', 100, 'postgres', 'openclaw');
const kills = fileOf('kills', 200, 'openclaw', 'rounds');
const container = fileOf('container', 60, 'engine');
const faults = fileOf('faults', 50, 'engine', 'rounds');
const all = [pure, rows, gateway, kills, container, faults];

const MEMORY = 24 * 1024 ** 3;
const pools = (files: readonly PlannedFile[], workers: number) => poolsOf(files, workers, MEMORY);
const shapes = (files: readonly PlannedFile[], workers: number) =>
  pools(files, workers).map((pool) => [pool.workers, ...pool.files.map(({ path }) => path)]);
const sharedOf = (files: readonly PlannedFile[], workers: number) =>
  pools(files, workers).map(({ shared }) => shared.map(({ path }) => path));

describe('the pools of a run', () => {
  test('let unit and database tests compute beside those that wait, and one file at a time have the engine', () => {
    expect(shapes(all, 2)).toEqual([[1, 'rows', 'pure'], [1, 'container', 'faults'], [3]]);
    expect(pools(all, 2).at(-1)?.shared).toEqual([kills, gateway]);
  });

  test('let the workers that are done with unit tests or the engine help those that wait', () => {
    const more = [160, 150, 140, 130].map((seconds) => fileOf(`waiting ${seconds}`, seconds, 'openclaw'));
    const waiting = ['kills', 'waiting 160', 'waiting 150', 'waiting 140', 'waiting 130', 'gateway'];
    expect(sharedOf([...all, ...more], 2)).toEqual([waiting, waiting, waiting]);
    const [first, ...others] = pools([...all, ...more], 2);
    for (const other of others) expect(other.shared).toBe(first?.shared);
    // 200 s; 160 and 100 s; 150 s; 21 and 140 s; 110 and 130 s.
    expect(describePlan(pools([...all, ...more], 2))[0]).toBe('10 test files with 5 workers, usually 4 minutes:');
  });

  test('have those that wait take long unit and database tests too, but not when there are no others', () => {
    const long = fileOf('long', 30, 'postgres');
    expect(shapes([...all, long], 2)).toEqual(shapes(all, 2));
    expect(sharedOf([...all, long], 2)[0]).toEqual(['kills', 'gateway', 'long']);
    expect(shapes([pure, rows, long], 2)).toEqual([[4, 'long', 'rows', 'pure']]);
  });

  test('have no more files wait at a time than there is memory for, and no fewer than there are workers', () => {
    const waiting = (gibibytes: number) => poolsOf([gateway, kills], 4, gibibytes * 1024 ** 3).map(({ workers }) => workers);
    expect([32, 24, 23, 16, 8].map(waiting)).toEqual([[6], [6], [5], [4], [4]]);
  });

  test('run unit and database tests that are alone two to a worker, where there is memory for so many', () => {
    const quick = (gibibytes: number) => poolsOf([pure, rows], 4, gibibytes * 1024 ** 3).map(({ workers }) => workers);
    expect([24, 16, 15, 10, 4].map(quick)).toEqual([[8], [8], [7], [5], [4]]);
    expect(shapes([pure, rows], 4)).toEqual([[8, 'rows', 'pure']]);
  });

  test('are one with one worker, the longest file first', () => {
    expect(shapes(all, 1)).toEqual([[1, 'kills', 'gateway', 'container', 'faults', 'rows', 'pure']]);
  });

  test('leave the whole machine to a file that needs it, once the others are done', () => {
    const starving = fileOf('starving', 300, 'openclaw', 'wholeMachine');
    expect(shapes([...all, starving], 2)).toEqual([...shapes(all, 2), [1, 'starving']]);
    expect(pools([...all, starving], 2).map(({ runsLast }) => runsLast)).toEqual([false, false, false, true]);
    expect(describePlan(pools([pure, starving], 2))[0]).toBe('2 test files with 2 workers, usually 5 minutes:');
  });

  test('let no process run two files that load what never ends', () => {
    const reusing = pools([...all, fileOf('bundle', 9, 'temporalLibrary')], 2).filter((pool) => pool.reusesProcesses);
    expect(reusing.flatMap((pool) => pool.files)).toEqual([rows, pure]);
  });
});

describe('what is said of a run', () => {
  test('names each lane that runs, and the time of the slowest pool', () => {
    expect(describePlan(pools(all, 2))).toEqual([
      '6 test files with 5 workers, usually 3 minutes:',
      '  unit       1  starts no server',
      '  database   1  PostgreSQL',
      '  gateway    1  OpenClaw gateways, some with the whole platform',
      '  campaign   1  random kills and inputs, in rounds',
      '  docker     2  containers on the Docker engine',
    ]);
    expect(describePlan(pools([pure], 2))[0]).toBe('1 test file with 1 worker, usually 1 second:');
  });

  test('takes for a file that was never measured what it took before, or what is usual in its lane', () => {
    expect(secondsOf(fileOf('new', 0, 'engine'), { old: 3 })).toBe(60);
    expect(secondsOf({ ...fileOf('new', 0, 'engine'), lastMs: 7_000 }, { old: 3 })).toBe(7);
    expect(secondsOf({ ...fileOf('old', 0, 'engine'), lastMs: 7_000 }, { old: 3 })).toBe(3);
  });
});

describe('what a run has prepared', () => {
  const fails = (sentence: string) => async () => {
    throw new Error(sentence);
  };
  const noted: Need[] = [];
  const works = (need: Need): [Need, () => Promise<unknown>] => [need, async () => noted.push(need)];
  const before = process.env['CI'];
  const setCi = (value: string | undefined): void => {
    if (value === undefined) delete process.env['CI'];
    else process.env['CI'] = value;
  };
  beforeEach(() => setCi(undefined));
  afterEach(() => setCi(before));

  test('is what its files need and nothing else', async () => {
    noted.length = 0;
    const { files, leftOut } = await prepareTests([pure, gateway], [works('temporal'), works('compose'), works('openclaw')]);
    expect([files, leftOut, noted]).toEqual([[pure, gateway], [], ['openclaw']]);
  });

  test('leaves out what this machine cannot run, with the reason, and then installs nothing for it', async () => {
    noted.length = 0;
    const composed = fileOf('composed', 1, 'engine', 'compose');
    const { files, leftOut } = await prepareTests(
      [rows, container, composed],
      [['engine', fails('No engine.')], works('compose')],
    );
    expect([files, leftOut, noted]).toEqual([[rows], [{ files: [container, composed], reason: 'No engine.' }], []]);
  });

  test('is an error where nothing can do without it, and where the verdict is given', async () => {
    await expect(prepareTests([gateway], [['openclaw', fails('No npm.')]])).rejects.toThrow('No npm.');
    setCi('true');
    const given = prepareTests([container], [['engine', fails('No engine.')]]);
    await expect(given).rejects.toThrow('No engine.');
  });
});
