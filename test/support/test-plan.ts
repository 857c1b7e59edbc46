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
  /** What its workers run once its own files are done. */
  next: Pool<File> | null;
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
 * kill it. Workers that are done with unit tests or the engine help those that wait. What takes the whole machine comes
 * last. The longest goes first. With one worker everything is one pool.
 */
export function poolsOf<File extends PlannedFile>(files: readonly File[], workers: number): Pool<File>[] {
  const sorted = files.toSorted((one, other) => other.seconds - one.seconds);
  if (workers === 1) return [poolOf(sorted, workers)];
  const alone = sorted.filter(({ needs }) => needs.has('wholeMachine'));
  const of = (...lanes: Lane[]): File[] => sorted.filter((file) => !alone.includes(file) && lanes.includes(laneOf(file.needs)));
  const waiting = poolOf(of('temporal', 'gateway', 'campaign'), workers);
  const onEngine = poolOf(of('docker'), 1);
  const besides = waiting.files.length + onEngine.files.length > 0 ? 1 : 0;
  const computing = { ...poolOf(of('unit', 'database'), workers - besides), reusesProcesses: true };
  const pools = share(waiting, [computing, onEngine].filter(hasFiles));
  return [...pools, { ...poolOf(alone, 1), runsLast: true }].filter(hasFiles);
}

function poolOf<File>(files: File[], workers: number): Pool<File> {
  return { files, workers, reusesProcesses: false, runsLast: false, next: null };
}

function hasFiles(pool: Pool<unknown>): boolean {
  return pool.files.length > 0;
}

/** These helpers and this pool, each file of which is with the worker that comes to it first. */
function share<File extends PlannedFile>(pool: Pool<File>, helpers: readonly Pool<File>[]): Pool<File>[] {
  const own = poolOf<File>([], pool.workers);
  const helping = helpers.map((helper) => ({ helper, later: poolOf<File>([], helper.workers) }));
  const workers = [...slotsOf(own, 0), ...helping.flatMap(({ helper, later }) => slotsOf(later, durationOf(helper)))];
  for (const file of pool.files) {
    const first = workers.reduce((one, other) => (other.freeAt < one.freeAt ? other : one));
    first.pool.files.push(file);
    first.freeAt += file.seconds;
  }
  return [...helping.map(({ helper, later }) => ({ ...helper, next: hasFiles(later) ? later : null })), own];
}

/** The workers of a pool that begins after so many seconds. */
function slotsOf<File>(pool: Pool<File>, freeAt: number): { pool: Pool<File>; freeAt: number }[] {
  return Array.from({ length: pool.workers }, () => ({ pool, freeAt }));
}

/** Says what runs, in which lanes, and how long it usually takes. */
export function describePlan(pools: readonly Pool<PlannedFile>[], workers: number): string[] {
  const files = pools.flatMap((pool) => [...pool.files, ...(pool.next?.files ?? [])]);
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

/** In seconds. No pool ends before its longest file does. */
function durationOf({ files, workers, next }: Pool<PlannedFile>): number {
  const seconds = files.map((file) => file.seconds);
  const own = Math.max(0, ...seconds, seconds.reduce((sum, more) => sum + more, 0) / workers);
  return own + (next ? durationOf(next) : 0);
}

export function count(of: number, noun: string): string {
  return `${of} ${noun}${of === 1 ? '' : 's'}`;
}

function inWords(seconds: number): string {
  return seconds < 90 ? count(Math.ceil(seconds), 'second') : `${Math.round(seconds / 60)} minutes`;
}
