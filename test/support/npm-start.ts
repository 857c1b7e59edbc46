import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { readPidFile } from '../../local/pid-file.ts';
import { isAlive } from '../../runtime/host/process-identity.ts';
import { freePorts } from '../local/free-ports.ts';
import { eventually } from './eventually.ts';

const PROJECT = join(import.meta.dirname, '../..');
/** OpenClaw and Temporal may have to be installed first, Temporal from source. */
export const FIRST_START_MS = 10 * 60_000;

export interface Start {
  child: ChildProcess;
  output(): string;
  /** Of the API. */
  port: number;
}

/** `npm start` in a session of its own, which is what a terminal gives it. */
export async function npmStart(dataDir: string, env: Record<string, string> = {}): Promise<Start> {
  const first = await freePorts(5);
  const child = spawn('npm', ['start'], {
    cwd: PROJECT,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      ...process.env,
      NODE_OPTIONS: '',
      DATA_DIR: dataDir,
      POOL_SIZE: '0',
      PORT: String(first),
      RELAY_PORT: String(first + 1),
      METRICS_PORT: String(first + 2),
      ...env,
    },
  });
  let text = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => {
      text += chunk.toString();
    });
  return { child, output: () => text, port: first };
}

/** Resolves when the whole stack runs, or the start has ended. */
export async function untilItRuns({ child, output }: Start): Promise<void> {
  await eventually(() => {
    if (child.exitCode === null && !output().includes('Try it')) throw new Error(`It does not run yet:\n${output()}`);
  }, FIRST_START_MS);
  if (!output().includes('Thermidora runs')) throw new Error(`It did not start:\n${output()}`);
}

/** The parts that run now, but for PostgreSQL. */
export async function pidsOf(dataDir: string): Promise<Record<string, number>> {
  const runDir = join(dataDir, 'run');
  const entries: [string, number][] = [];
  for (const name of await readdir(runDir)) {
    const identity = await readPidFile(join(runDir, name));
    if (identity && (await isAlive(identity))) entries.push([name.replace('.pid', ''), identity.pid]);
  }
  return Object.fromEntries(entries);
}

/** Rejects when it does not run. */
export async function postgresPid(dataDir: string): Promise<number> {
  return Number((await readFile(join(dataDir, 'postgres/cluster/postmaster.pid'), 'utf8')).split('\n')[0]);
}
