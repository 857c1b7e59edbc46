import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { resultsPage, withResults } from '../../scripts/render-results.ts';
import { keepResult, readResults, RESULTS_DIR } from '../../scripts/results.ts';
import { summarize } from '../bench/table.ts';

const ROOT = join(import.meta.dirname, '../..');
const NOW = new Date('2026-02-03T23:59:59Z');

describe('what npm run results writes', () => {
  test('is what docs/RESULTS.md and README.md show', async () => {
    const results = await readResults(RESULTS_DIR);
    const readme = await readFile(join(ROOT, 'README.md'), 'utf8');
    expect(await readFile(join(ROOT, 'docs/RESULTS.md'), 'utf8')).toBe(resultsPage(results));
    expect(readme).toBe(withResults(readme, results));
  });

  test('names what README.md quotes and no result has', async () => {
    const results = await readResults(RESULTS_DIR);
    const quoting = '<!--= event kills: unicorns -->1<!--/-->';
    expect(() => withResults(quoting, results)).toThrow('the count "unicorns" of "event kills"');
    expect(() => withResults('<!-- results -->\n<!-- /results -->', [])).toThrow(
      'the row "create to first answer" of "cold start"',
    );
  });

  test('puts counts of today into README.md, and nothing else', async () => {
    const results = await readResults(RESULTS_DIR);
    const campaign = results.find(({ name }) => name === 'billing crashes');
    expect(campaign?.kind).toBe('campaign');
    const changed = [{ ...campaign!, counts: { lines: 1_234_567 } } as NonNullable<typeof campaign>];
    expect(withResults('a <!--= billing crashes: lines -->61,512<!--/--> b', changed)).toBe(
      'a <!--= billing crashes: lines -->1,234,567<!--/--> b',
    );
  });
});

describe('a result', () => {
  let directory: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'results-'));
  });
  afterEach(() => rm(directory, { recursive: true }));

  const measured = {
    kind: 'bench' as const,
    name: 'cold start',
    command: "ONLY='cold start' npm run bench",
    rows: [summarize({ what: 'start', values: [3, 1, 2], unit: 'ms', goal: '<= 5', reached: true })],
  };

  test('is kept with its day, its commit and its machine, and a newer one takes its place', async () => {
    await keepResult(directory, measured, new Date('2026-01-01T00:00:00Z'));
    await keepResult(directory, measured, NOW);
    expect(await readdir(directory)).toEqual(['cold-start.json']);
    const [result] = await readResults(directory);
    expect(result).toMatchObject({
      ...measured,
      measuredOn: '2026-02-03',
      commit: expect.stringMatching(/^[0-9a-f]{7,}(-dirty)?$/),
      machine: expect.stringContaining(`Node ${process.version}`),
      rows: [{ what: 'start', p50: 2, p99: 3, count: 3 }],
    });
    expect(resultsPage([result!])).toContain('| start | 2.0 ms | 3.0 ms | 3 | <= 5 | yes |');
  });

  test('of a campaign shows its outcome and its seed', async () => {
    const campaign = {
      kind: 'campaign' as const,
      name: 'kills',
      command: 'npm test',
      seed: 7,
      counts: {},
      outcome: '3 rounds: none lost',
    };
    await keepResult(directory, campaign, NOW);
    expect(resultsPage(await readResults(directory))).toContain('3 rounds: none lost (seed 7)');
  });

  test('that is a single value has no p99, and one whose percentiles alone are known has no count', () => {
    const row = { what: 'x', unit: 'MB' as const, goal: '', reached: null };
    expect(summarize({ ...row, values: [4] })).toMatchObject({ p50: 4, p99: null, count: 1 });
    expect(summarize({ ...row, values: [4], p99: 9 })).toMatchObject({ p50: 4, p99: 9, count: null });
  });

  test('that is no result is refused', async () => {
    await writeFile(join(directory, 'x.json'), '{"name":"x"}');
    await expect(readResults(directory)).rejects.toThrow('kind');
  });
});
