import { LANES, laneOf } from './lanes.ts';
import type { Lane, Need } from './lanes.ts';

/** Files that run with so many of them at a time, one after the other. */
export interface Pool<File> {
  files: File[];
  workers: number;
  /** Whether a process runs several files. */
  reusesProcesses: boolean;
  /** Whether it runs once all others are done. */
  runsLast: boolean;
}

/** What is known of a chosen file. */
export interface PlannedFile {
  /** From the root of the project. */
  path: string;
  needs: ReadonlySet<Need>;
  /** As it was measured last; of a new file, what is usual in its lane. */
  seconds: number;
}

/** Of a file that was never measured. */
const USUAL_SECONDS: Record<Lane, number> = { unit: 1, database: 5, temporal: 20, gateway: 45, campaign: 60, docker: 60 };

const STARTS: Record<Lane, string> = {
  unit: 'starts no server',
  database: 'PostgreSQL',
  temporal: 'Temporal, most with PostgreSQL',
  gateway: 'OpenClaw gateways, some with the whole platform',
  campaign: 'random kills and inputs, in rounds',
  docker: 'containers on the Docker engine',
};

/** The seconds that a file takes alone, as it was measured or as its lane usually does. */
export function secondsOf(path: string, needs: ReadonlySet<Need>, measured: Readonly<Record<string, number>>): number {
  return measured[path] ?? USUAL_SECONDS[laneOf(needs)];
}

/**
 * Divides files among pools that run beside each other. Unit and database tests compute, so they get the processors; the
 * rest mostly waits for what it has started and runs beside them; the engine is for one file at a time, because some
 * kill it. What takes the whole machine comes last. The longest goes first. With one worker everything is one pool.
 */
export function poolsOf<File extends PlannedFile>(files: readonly File[], workers: number): Pool<File>[] {
  const sorted = files.toSorted((one, other) => other.seconds - one.seconds);
  if (workers === 1) return [{ files: sorted, workers, reusesProcesses: false, runsLast: false }];
  const alone = sorted.filter(({ needs }) => needs.has('wholeMachine'));
  const of = (...lanes: Lane[]): File[] => sorted.filter((file) => !alone.includes(file) && lanes.includes(laneOf(file.needs)));
  const waiting = of('temporal', 'gateway', 'campaign');
  const onEngine = of('docker');
  const besides = waiting.length + onEngine.length > 0 ? 1 : 0;
  return [
    { files: of('unit', 'database'), workers: workers - besides, reusesProcesses: true, runsLast: false },
    { files: waiting, workers, reusesProcesses: false, runsLast: false },
    { files: onEngine, workers: 1, reusesProcesses: false, runsLast: false },
    { files: alone, workers: 1, reusesProcesses: false, runsLast: true },
  ].filter((pool) => pool.files.length > 0);
}

/** Says what runs, in which lanes, and how long it usually takes. */
export function describePlan(pools: readonly Pool<PlannedFile>[], workers: number): string[] {
  const files = pools.flatMap((pool) => pool.files);
  const [beside, last] = [false, true].map((isLast) => pools.filter(({ runsLast }) => runsLast === isLast).map(durationOf));
  const duration = Math.max(0, ...(beside ?? [])) + Math.max(0, ...(last ?? []));
  return [
    `${count(files.length, 'test file')} with ${count(workers, 'worker')}, usually ${inWords(duration)}:`,
    ...LANES.flatMap((lane) => {
      const of = files.filter(({ needs }) => laneOf(needs) === lane);
      return of.length === 0 ? [] : [`  ${lane.padEnd(9)}${String(of.length).padStart(3)}  ${STARTS[lane]}`];
    }),
  ];
}

/** No pool ends before its longest file does. */
function durationOf({ files, workers }: Pool<PlannedFile>): number {
  const seconds = files.map((file) => file.seconds);
  return Math.max(...seconds, seconds.reduce((sum, next) => sum + next, 0) / workers);
}

export function count(of: number, noun: string): string {
  return `${of} ${noun}${of === 1 ? '' : 's'}`;
}

function inWords(seconds: number): string {
  return seconds < 90 ? count(Math.ceil(seconds), 'second') : `${Math.round(seconds / 60)} minutes`;
}
