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
  /** What its workers go on with once its own files are done. Several pools have the same list, and each worker takes the next file of it. */
  shared: File[];
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
const USUAL_SECONDS: Record<Lane, number> = {
  unit: 1,
  database: 5,
  temporal: 20,
  gateway: 45,
  campaign: 60,
  docker: 60,
  kubernetes: 60,
};

/** From so long on, a process of its own costs a unit or database test nothing that counts. */
const LONG_SECONDS = 30;

/** The most that one with its gateways, API, worker and relay was seen to take. */
const WAITING_FILE_BYTES = 4 * 1024 ** 3;

/** The most that the worker of unit and database tests and what they start was seen to take. */
const QUICK_FILE_BYTES = 2 * 1024 ** 3;

const STARTS: Record<Lane, string> = {
  unit: 'starts no server',
  database: 'PostgreSQL',
  temporal: 'Temporal, most with PostgreSQL',
  gateway: 'OpenClaw gateways, some with the whole platform',
  campaign: 'random kills and inputs, in rounds',
  docker: 'containers on the Docker engine',
  kubernetes: 'Pods on a cluster of this machine',
};

/** The seconds that a file takes: as it was measured, else as it took on this machine before, else as its lane usually does. */
export function secondsOf(
  { path, needs, lastMs }: Pick<PlannedFile, 'path' | 'needs'> & { lastMs?: number | undefined },
  measured: Readonly<Record<string, number>>,
): number {
  return measured[path] ?? (lastMs === undefined ? USUAL_SECONDS[laneOf(needs)] : lastMs / 1_000);
}

/**
 * Divides files among pools that run beside each other. Unit and database tests compute, so they get the processors; the
 * rest mostly waits for what it has started and runs beside them, half as many again at a time as there are workers where
 * the machine has memory for so many; the engine is for one file at a time, because some kill it. Workers that are done with unit
 * tests or the engine help those that wait, which take the long ones of the unit and database tests in exchange, so that all
 * are done at about the same time. Unit and database tests that are alone run two to a worker, because they too wait for more than half of
 * their time. What takes the whole machine comes last. The longest goes first. With one worker everything is one pool.
 */
export function poolsOf<File extends PlannedFile>(files: readonly File[], workers: number, memoryBytes: number): Pool<File>[] {
  const sorted = files.toSorted(longestFirst);
  if (workers === 1) return [poolOf(sorted, workers)];
  const alone = sorted.filter(({ needs }) => needs.has('wholeMachine'));
  const of = (...lanes: Lane[]): File[] => sorted.filter((file) => !alone.includes(file) && lanes.includes(laneOf(file.needs)));
  const [quick, engine] = [of('unit', 'database'), of('docker', 'kubernetes')];
  const computesOnly = of('temporal', 'gateway', 'campaign').length + engine.length === 0;
  const shared = computesOnly ? [] : [...of('temporal', 'gateway', 'campaign'), ...quick.filter(isLong)].toSorted(longestFirst);
  const atMost = (wanted: number, fileBytes: number) => Math.max(workers, Math.min(wanted, Math.floor(memoryBytes / fileBytes)));
  const waiting = { ...poolOf<File>([], atMost(Math.ceil(workers * 1.5), WAITING_FILE_BYTES)), shared };
  const onEngine = { ...poolOf(engine, 1), shared };
  const own = computesOnly ? quick : quick.filter((file) => !isLong(file));
  const atOnce = computesOnly ? atMost(workers * 2, QUICK_FILE_BYTES) : workers - 1;
  const computing = { ...poolOf(own, atOnce), reusesProcesses: true, shared };
  const beside = [computing, onEngine].filter((pool) => pool.files.length > 0);
  const pools = [...beside, ...(shared.length > 0 ? [waiting] : [])];
  return alone.length > 0 ? [...pools, { ...poolOf(alone, 1), runsLast: true }] : pools;
}

const longestFirst = (one: PlannedFile, other: PlannedFile): number => other.seconds - one.seconds;
const isLong = ({ seconds }: PlannedFile): boolean => seconds >= LONG_SECONDS;

function poolOf<File>(files: File[], workers: number): Pool<File> {
  return { files, workers, reusesProcesses: false, runsLast: false, shared: [] };
}

/** Says what runs, in which lanes, and how long it usually takes. */
export function describePlan(pools: readonly Pool<PlannedFile>[]): string[] {
  const files = [...new Set(pools.flatMap((pool) => [...pool.files, ...pool.shared]))];
  const last = pools.filter(({ runsLast }) => runsLast);
  const others = pools.filter(({ runsLast }) => !runsLast);
  const duration = durationOf(last) + durationOf(others);
  const workers = Math.min(files.length, Math.max(workersOf(last), workersOf(others)));
  return [
    `${count(files.length, 'test file')} with ${count(workers, 'worker')}, usually ${inWords(duration)}:`,
    ...LANES.flatMap((lane) => {
      const of = files.filter(({ needs }) => laneOf(needs) === lane);
      return of.length === 0 ? [] : [`  ${lane.padEnd(9)}${String(of.length).padStart(3)}  ${STARTS[lane]}`];
    }),
  ];
}

const workersOf = (pools: readonly Pool<PlannedFile>[]): number => pools.reduce((sum, { workers }) => sum + workers, 0);

/** In seconds, of pools that run beside each other: each next file of those that are shared goes to the worker that is free first. */
function durationOf(pools: readonly Pool<PlannedFile>[]): number {
  const freeAt = pools.flatMap((pool) => Array.from({ length: pool.workers }, () => ownDurationOf(pool)));
  for (const { seconds } of pools[0]?.shared ?? []) {
    const first = freeAt.indexOf(Math.min(...freeAt));
    freeAt[first] = (freeAt[first] ?? 0) + seconds;
  }
  return Math.max(0, ...freeAt);
}

/** No pool ends before its longest file does. */
function ownDurationOf({ files, workers }: Pool<PlannedFile>): number {
  const seconds = files.map((file) => file.seconds);
  return Math.max(0, ...seconds, seconds.reduce((sum, more) => sum + more, 0) / workers);
}

export function count(of: number, noun: string): string {
  return `${of} ${noun}${of === 1 ? '' : 's'}`;
}

function inWords(seconds: number): string {
  return seconds < 90 ? count(Math.ceil(seconds), 'second') : `${Math.round(seconds / 60)} minutes`;
}
