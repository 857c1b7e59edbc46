import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { mkdir, open, readFile, realpath, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { isErrno } from '../../lib/errno.ts';
import { freePort } from '../../runtime/host/free-port.ts';
import { runs } from '../../runtime/host/process-identity.ts';
import { replaceFile } from '../../runtime/host/replace-file.ts';
import { PostgresError, postgresAccount, postgresPrograms } from './postgres-account.ts';
import { DATABASE_USER, ensureCluster } from './postgres-cluster.ts';
import type { Cluster } from './postgres-cluster.ts';

const HOST = '127.0.0.1';
const DATABASE = 'thermidora';
const POLL_MS = 25;

/** Recovery after a power cut takes a while on a slow disk. */
const START_MS = 60_000;

/** A fast shutdown writes a checkpoint; after this long the server is made to drop everything and recover later. */
const STOP_MS = 20_000;

export interface PostgresOptions {
  /** Holds the cluster, its password, its port and its log. */
  dataDir: string;
  /** Default: the port of the last start, or a free one. */
  port?: number;
  /** False: faster and nothing survives a power cut. For tests. */
  durable: boolean;
  log?: (sentence: string) => void;
}

export interface RunningPostgres {
  /** As a superuser, to the database `thermidora`. */
  url: string;
  port: number;
  /** Settles when the server has ended, whether this process or another one ended it. */
  exited: Promise<void>;
  stop(): Promise<void>;
}

/**
 * Starts the PostgreSQL of this data directory, which is made when it is missing, on the loopback address. The server
 * has its own session, so it outlives this process, and a later start replaces it. Throws PostgresError.
 */
export async function startPostgres(options: PostgresOptions): Promise<RunningPostgres> {
  const { durable, log = () => undefined } = options;
  await mkdir(options.dataDir, { recursive: true });
  const dataDir = await realpath(options.dataDir);
  const account = await postgresAccount();
  const programs = await postgresPrograms(account);
  const cluster = await ensureCluster(dataDir, { programs, account, durable });
  if (cluster.directory !== join(dataDir, 'cluster'))
    log(`PostgreSQL's user cannot enter ${dataDir}, so its data is in ${cluster.directory}.`);
  if (await stopPostgres(dataDir)) log('Stopped a PostgreSQL that an earlier start had left running.');

  const port = await choosePort(dataDir, options.port);
  const logFile = join(dataDir, 'server.log');
  const server = await launch(join(programs, 'postgres'), settings(cluster, port, durable), { ids: account.ids, logFile });
  const exited = new Promise<void>((resolve) => server.once('exit', () => resolve()));
  const url = (database: string) => `postgres://${DATABASE_USER}:${cluster.password}@${HOST}:${port}/${database}`;
  try {
    await waitUntilReady(cluster.directory, server, logFile);
    await ensureDatabase(url('postgres'));
  } catch (error) {
    await stopPostgres(dataDir);
    throw error;
  }
  return { url: url(DATABASE), port, exited, stop: async () => void (await stopPostgres(dataDir)) };
}

/** Stops the server of this data directory, also one that another process started, and answers whether one ran. */
export async function stopPostgres(dataDir: string): Promise<boolean> {
  const pidFile = join(dataDir, 'cluster', 'postmaster.pid');
  const pid = await runningServer(pidFile);
  if (pid === null) return false;
  // A fast shutdown, an immediate one, and the signal that no process can ignore.
  for (const signal of ['SIGINT', 'SIGQUIT', 'SIGKILL'] as const) {
    signalTo(pid, signal);
    if (await ends(pid, STOP_MS)) return true;
  }
  throw new PostgresError(`PostgreSQL (process ${pid}) does not end. End it, then start again.`);
}

/**
 * The pid of the server that holds this data directory. A pid that belongs to another program by now, as after a
 * reboot, would keep PostgreSQL from starting, so its file is removed.
 */
async function runningServer(pidFile: string): Promise<number | null> {
  let lines: string[];
  try {
    lines = (await readFile(pidFile, 'utf8')).split('\n');
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return null;
    throw error;
  }
  const [pid, directory] = [Number(lines[0]), lines[1] ?? ''];
  if (Number.isInteger(pid) && pid > 0 && (await runs(pid)) && (await isServerOf(pid, directory))) return pid;
  await rm(pidFile, { force: true });
  return null;
}

async function isServerOf(pid: number, directory: string): Promise<boolean> {
  if (process.platform !== 'linux') return true;
  const commandLine = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
  return commandLine.split('\0').includes(directory);
}

async function ends(pid: number, withinMs: number): Promise<boolean> {
  const giveUp = AbortSignal.timeout(withinMs);
  while (await runs(pid)) {
    if (giveUp.aborted) return false;
    await sleep(POLL_MS);
  }
  return true;
}

function signalTo(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if (!isErrno(error, 'ESRCH')) throw error;
  }
}

async function choosePort(dataDir: string, wanted: number | undefined): Promise<number> {
  if (wanted !== undefined) return wanted;
  const file = join(dataDir, 'port');
  const last = Number(await readFile(file, 'utf8').catch(() => ''));
  const port = await freePort(Number.isInteger(last) && last > 0 && last < 65_536 ? last : null);
  if (port !== last) await replaceFile(file, String(port), 0o644);
  return port;
}

function settings({ directory }: Cluster, port: number, durable: boolean): string[] {
  const values: Record<string, string> = {
    port: String(port),
    listen_addresses: HOST,
    // The loopback address is enough, and a killed start would leave a socket in /tmp behind.
    unix_socket_directories: '',
    max_connections: '300',
    // The sweeps of the bills write much at once: more memory, and fewer checkpoints, which write whole pages again.
    shared_buffers: '1GB',
    max_wal_size: '4GB',
    timezone: 'UTC',
    log_timezone: 'UTC',
    ...(durable ? {} : { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off' }),
  };
  return ['-D', directory, ...Object.entries(values).flatMap(([name, value]) => ['-c', `${name}=${value}`])];
}

async function launch(
  program: string,
  args: string[],
  { ids, logFile }: { ids: { uid?: number; gid?: number }; logFile: string },
): Promise<ChildProcess> {
  const output = await open(logFile, 'w', 0o600);
  try {
    // Its output goes into a file, so that it outlives us, and its session is its own, so that Ctrl-C does not reach it.
    const stdio = ['ignore', output.fd, output.fd] as const;
    const server = spawn(program, args, { ...ids, cwd: '/', env: { PATH: '/usr/bin:/bin' }, detached: true, stdio: [...stdio] });
    await new Promise((resolve, reject) => {
      server.once('spawn', resolve);
      server.once('error', reject);
    });
    server.unref();
    return server;
  } finally {
    await output.close();
  }
}

async function waitUntilReady(directory: string, server: ChildProcess, logFile: string): Promise<void> {
  const giveUp = AbortSignal.timeout(START_MS);
  while (!(await isReady(directory, server.pid))) {
    if (giveUp.aborted || server.exitCode !== null || server.signalCode !== null) {
      const output = await readFile(logFile, 'utf8').catch(() => '');
      throw new PostgresError(`PostgreSQL does not start. It said:\n${output.slice(-2_000).trim()}`);
    }
    await sleep(POLL_MS);
  }
}

/** As its pid file says. A connection would prove nothing: another server may have the port. */
async function isReady(directory: string, pid: number | undefined): Promise<boolean> {
  const lines = (await readFile(join(directory, 'postmaster.pid'), 'utf8').catch(() => '')).split('\n');
  return Number(lines[0]) === pid && lines[7]?.trim() === 'ready';
}

async function ensureDatabase(url: string): Promise<void> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    const { rowCount } = await client.query('select from pg_database where datname = $1', [DATABASE]);
    if (rowCount === 0) await client.query(`create database ${DATABASE}`);
  } finally {
    await client.end();
  }
}
