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

/** A row of README.md: its label, and the result that it quotes. For a bench, the row of that name as well. */
interface Quote {
  label: string;
  result: string;
  row?: string;
}

const QUOTES: readonly Quote[] = [
  { label: 'A new instance to its first answer', result: 'cold start', row: 'create to first answer' },
  {
    label: 'The same of a bare OpenClaw gateway, started by hand',
    result: 'cold start',
    row: 'bare gateway: start to first answer',
  },
  { label: '`GET /instances/:id`, one process', result: 'reads', row: 'GET /instances/:id, per second' },
  { label: 'Processes killed while agents talk and jobs run', result: 'event kills' },
  { label: 'The database killed in the middle of billing', result: 'billing crashes' },
  { label: 'Twenty minutes of mixed load while parts are killed', result: 'mixed load' },
];

/** The rows of README.md. Throws when a result that it quotes is missing. */
export function readmeRows(results: readonly Result[]): string {
  const lines = QUOTES.map((quote) => `| ${quote.label} | ${quoted(quote, results)} |`);
  return ['| what | measured |', '|---|---|', ...lines, ''].join('\n');
}

function quoted({ result: name, row: what }: Quote, results: readonly Result[]): string {
  const result = results.find((one) => one.name === name);
  if (result?.kind === 'campaign') return result.outcome;
  const row = result?.rows.find((one) => one.what === what);
  if (!row)
    throw new Error(`README.md quotes "${what ?? name}", which no result in docs/results has. Measure it, or change QUOTES.`);
  return `${amount(row.p50, row.unit)}${row.p99 === null ? '' : ` (p99 ${amount(row.p99, row.unit)})`}`;
}
