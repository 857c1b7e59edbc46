import type { Result, ResultRow } from './results.ts';

const INTRODUCTION = `# Results

Written by \`npm run results\` from \`docs/results/\`; do not edit it by hand. Each section names the command that measures the same again.
To replace a result, run its command with \`RESULTS_DIR=docs/results\`, then \`npm run results\`.

Values are those of the machine and the commit that a section names. "Reached" compares them with the goal of the bench; a campaign is
listed only after it has passed.
`;

/** The text of `docs/RESULTS.md`. */
export function resultsPage(results: readonly Result[]): string {
  const sections = (kind: Result['kind']) => results.filter((result) => result.kind === kind).map(section);
  return [INTRODUCTION, '## Benches', '', ...sections('bench'), '## Campaigns', '', ...sections('campaign')]
    .join('\n')
    .trimEnd()
    .concat('\n');
}

function section(result: Result): string {
  const { name, command, measuredOn, commit, machine } = result;
  const body = result.kind === 'bench' ? table(result.rows) : `${result.outcome} (seed ${result.seed})`;
  return [`### ${sentenceCase(name)}`, '', `${measuredOn}, commit ${commit}, ${machine}: \`${command}\``, '', body, ''].join(
    '\n',
  );
}

function table(rows: readonly ResultRow[]): string {
  const lines = rows.map(({ what, p50, p99, count, unit, goal, reached }) =>
    [
      what,
      amount(p50, unit),
      p99 === null ? '' : amount(p99, unit),
      count ?? '',
      goal,
      reached === null ? '' : reached ? 'yes' : 'no',
    ].join(' | '),
  );
  return ['| what | p50 | p99 | n | goal | reached |', '|---|---|---|---|---|---|', ...lines.map((line) => `| ${line} |`)].join(
    '\n',
  );
}

function amount(value: number, unit: string): string {
  return `${value >= 100 ? value.toFixed(0) : value.toFixed(1)} ${unit}`;
}

function sentenceCase(name: string): string {
  return name.charAt(0).toUpperCase() + name.slice(1);
}

/** A row of README.md: its label, and the row of a bench that it quotes. */
const QUOTES: readonly { label: string; bench: string; row: string }[] = [
  { label: 'A new instance to its first answer', bench: 'cold start', row: 'create to first answer' },
  {
    label: 'A bare OpenClaw gateway, started by hand, to its first answer',
    bench: 'cold start',
    row: 'bare gateway: start to first answer',
  },
  {
    label: 'A worker is killed during a start: the start goes on after',
    bench: 'worker kill',
    row: 'worker killed during a provision: goes on',
  },
  { label: '`GET /instances/:id` on one API process', bench: 'reads', row: 'GET /instances/:id, per second' },
  { label: 'An hour of 100,000 running instances is billed in', bench: 'billing', row: 'sweep of 100000 running instances' },
  { label: 'Resident memory of an API process', bench: 'memory', row: 'resident memory: api' },
];

/**
 * README.md with today's results: the table between its markers, and each number that stands in `<!--= name: count -->` of a
 * campaign. Throws when a result that it quotes is missing.
 */
export function withResults(readme: string, results: readonly Result[]): string {
  return readme
    .replace(
      /(<!-- results -->\n)[\s\S]*?(<!-- \/results -->)/,
      (_, begin: string, end: string) => begin + readmeTable(results) + end,
    )
    .replaceAll(
      /(<!--= ([a-z ]+): ([a-z]+) -->)[\d,]*(<!--\/-->)/g,
      (_, begin: string, name: string, count: string, end: string) => begin + countOf(results, name, count) + end,
    );
}

function readmeTable(results: readonly Result[]): string {
  const lines = QUOTES.map(({ label, bench, row }) => `| ${label} | ${valueOf(results, bench, row)} |`);
  return ['| what | p50 |', '|---|---|', ...lines, ''].join('\n');
}

function valueOf(results: readonly Result[], bench: string, what: string): string {
  const result = results.find(({ name }) => name === bench);
  const row = result?.kind === 'bench' ? result.rows.find((one) => one.what === what) : undefined;
  if (!row) throw missing(`the row "${what}" of "${bench}"`);
  return row.unit === 'ms' && row.p50 >= 1000 ? `${(row.p50 / 1000).toFixed(1)} s` : amount(row.p50, row.unit);
}

function countOf(results: readonly Result[], name: string, count: string): string {
  const result = results.find((one) => one.name === name);
  const value = result?.kind === 'campaign' ? result.counts[count] : undefined;
  if (value === undefined) throw missing(`the count "${count}" of "${name}"`);
  return value.toLocaleString('en-US');
}

function missing(what: string): Error {
  return new Error(`README.md quotes ${what}, which no file of docs/results has. Measure it, or change what README.md quotes.`);
}
