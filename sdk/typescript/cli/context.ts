import type { Command } from 'commander';
import type { Thermidora } from '../src/index.ts';
import type { Io } from './io.ts';
import { writeFields, writeJson, writeTable } from './output.ts';
import type { Column } from './output.ts';
import { connect, connectOperator } from './settings.ts';

/** What commands share: streams, credentials, and how results are written. */
export interface Context {
  io: Io;
  /** Aborts at an interrupt. */
  signal: AbortSignal;
  client(): Promise<Thermidora>;
  operator(): Promise<Thermidora>;
  isJson(): boolean;
  /** Writes one object. */
  show(thing: object): void;
  /** Writes a list, read to its end or to `most`. */
  list<Row extends object>(
    rows: AsyncIterable<Row> | readonly Row[],
    columns: readonly Column<Row>[],
    none: string,
    most?: number,
  ): Promise<void>;
}

const MOST_ROWS = 1_000;

/** The context of one run of this program. */
export function createContext(program: Command, io: Io, signal: AbortSignal): Context {
  const isJson = (): boolean => program.opts<{ json?: boolean }>().json === true;
  return {
    io,
    signal,
    client: () => connect(io),
    operator: () => connectOperator(io),
    isJson,
    show: (thing) => (isJson() ? writeJson(io, thing) : writeFields(io, thing)),
    async list(rows, columns, none, most = MOST_ROWS) {
      const found = [];
      for await (const row of rows) {
        if (found.length === most) {
          io.stderr.write(`There are more than ${most}: these are the first.\n`);
          break;
        }
        found.push(row);
      }
      if (isJson()) writeJson(io, found);
      else writeTable(io, found, columns, none);
    },
  };
}
