import { printable } from './io.ts';
import type { Io } from './io.ts';

/** A column of a table: its heading, and what it shows of a row. */
export type Column<Row> = [heading: string, value: (row: Row) => string | number | boolean | null | undefined];

const WIDEST = 60;

/** Writes JSON, one document for scripts. */
export function writeJson(io: Io, value: unknown): void {
  io.stdout.write(`${asJson(value, 2)}\n`);
}

/** Writes JSON in one line, for what has no end. */
export function writeJsonLine(io: Io, value: unknown): void {
  io.stdout.write(`${asJson(value)}\n`);
}

/** With the control characters escaped that JSON leaves as they are and a terminal obeys. */
function asJson(value: unknown, indent?: number): string {
  return JSON.stringify(value, null, indent).replaceAll(
    /[\u007f-\u009f]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** Writes a line of text from any source, without control characters. */
export function writeLine(io: Io, text: string): void {
  io.stdout.write(`${printable(text)}\n`);
}

/** Writes rows as a table, or `none` when there are no rows. */
export function writeTable<Row>(io: Io, rows: readonly Row[], columns: readonly Column<Row>[], none: string): void {
  if (rows.length === 0) return writeLine(io, none);
  const cells = [
    columns.map(([heading]) => heading.toUpperCase()),
    ...rows.map((row) => columns.map(([, value]) => cellOf(value(row)))),
  ];
  const widths = columns.map((_, index) => Math.max(...cells.map((line) => line[index]?.length ?? 0)));
  for (const line of cells) {
    const text = line.map((cell, index) => cell.padEnd(widths[index] ?? 0)).join('  ');
    io.stdout.write(`${text.trimEnd()}\n`);
  }
}

function cellOf(value: string | number | boolean | null | undefined): string {
  if (value === null || value === undefined) return '-';
  const text = printable(String(value)).replaceAll(/\s+/g, ' ');
  return text.length > WIDEST ? `${text.slice(0, WIDEST - 1)}…` : text;
}

/** Writes the fields of one thing, one a line; what is not flat as JSON. */
export function writeFields(io: Io, thing: object): void {
  const width = Math.max(...Object.keys(thing).map((name) => name.length));
  for (const [name, value] of Object.entries(thing)) {
    const text = typeof value === 'object' && value !== null ? asJson(value) : String(value);
    writeLine(io, `${name.padEnd(width)}  ${text}`);
  }
}

/** 10^-9 USD as USD with six digits. */
export function usdOf(nanoUsd: string): string {
  const micro = BigInt(nanoUsd) / 1_000n;
  const digits = String(micro < 0n ? -micro : micro).padStart(7, '0');
  return `${micro < 0n ? '-' : ''}${digits.slice(0, -6)}.${digits.slice(-6)}`;
}
