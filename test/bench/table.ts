import { describeMachine } from '../../scripts/results.ts';
import type { ResultRow } from '../../scripts/results.ts';

export interface Row {
  what: string;
  /** Milliseconds, unless the name says otherwise. */
  values: readonly number[];
  /** Where only percentiles are known: `values` is the median alone then. */
  p99?: number;
  unit: 'ms' | 'MB' | 'MiB/s' | 'requests/s' | 'actions' | 'instances';
  /** What it is to reach, in words, and whether it did. */
  goal: string;
  reached: boolean | null;
}

/** The value below which this share of all values lies. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

export const median = (values: readonly number[]): number => percentile(values, 0.5);

/** The same row with its percentiles, as a result keeps it. */
export function summarize({ what, values, p99, unit, goal, reached }: Row): ResultRow {
  const only = p99 === undefined && values.length === 1;
  return {
    ...{ what, unit, goal, reached, p50: median(values) },
    p99: only ? null : (p99 ?? percentile(values, 0.99)),
    count: p99 === undefined ? values.length : null,
  };
}

/** The table of a run, with the machine it ran on. */
export function renderTable(rows: readonly Row[]): string {
  const format = (value: number) => (value >= 100 ? value.toFixed(0) : value.toFixed(1));
  const lines = rows.map(({ what, values, p99 = percentile(values, 0.99), unit, goal, reached }) => [
    what,
    `${format(median(values))} ${unit}`,
    `${format(p99)} ${unit}`,
    String(values.length),
    goal,
    reached === null ? '' : reached ? 'yes' : 'NO',
  ]);
  const table = [['what', 'p50', 'p99', 'n', 'to reach', 'reached'], ...lines];
  const widths = table[0]?.map((_, column) => Math.max(...table.map((line) => line[column]?.length ?? 0))) ?? [];
  const text = table.map((line) =>
    line
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
  return [describeMachine(), ...text].join('\n');
}
