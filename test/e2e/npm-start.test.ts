import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, expect, test } from '@jest/globals';
import { readPidFile } from '../../local/pid-file.ts';
import { isAlive } from '../../runtime/process/process-identity.ts';
import { freePorts } from '../local/free-ports.ts';
import { temporaryDir } from '../local/temporary-dir.ts';
import { eventually } from '../support/eventually.ts';

const PROJECT = join(import.meta.dirname, '../..');
/** OpenClaw and Temporal may have to be installed first, Temporal from source. */
const FIRST_START_MS = 10 * 60_000;
const PATIENCE_MS = 60_000;

const dir = temporaryDir();
const started: ChildProcess[] = [];
afterEach(async () => {
  for (const child of started.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    child.kill('SIGTERM');
    await once(child, 'exit');
  }
});

interface Start {
  child: ChildProcess;
  output(): string;
  port: number;
}

/** `npm start` in a session of its own, which is what a terminal gives it. */
async function npmStart(dataDir: string): Promise<Start> {
  const first = await freePorts(5);
  const child = spawn('npm', ['start'], {
    cwd: PROJECT,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      ...process.env,
      NODE_OPTIONS: '',
      DATA_DIR: dataDir,
      PORT: String(first),
      RELAY_PORT: String(first + 1),
      METRICS_PORT: String(first + 2),
    },
  });
  started.push(child);
  let text = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => {
      text += chunk.toString();
    });
  return { child, output: () => text, port: first };
}

async function untilItRuns({ child, output }: Start): Promise<void> {
  await eventually(() => {
    if (child.exitCode !== null) return;
    expect(output()).toContain('Try it');
  }, FIRST_START_MS);
  expect(output()).toContain('Thermidora runs');
}

/** Ctrl-C reaches everything that the terminal started in its foreground. */
function pressCtrlC({ child }: Start): void {
  process.kill(-(child.pid ?? 0), 'SIGINT');
}

async function pidsOf(dataDir: string): Promise<Record<string, number>> {
  const runDir = join(dataDir, 'run');
  const entries: [string, number][] = [];
  for (const name of await readdir(runDir)) {
    const identity = await readPidFile(join(runDir, name));
    if (identity && (await isAlive(identity))) entries.push([name.replace('.pid', ''), identity.pid]);
  }
  return Object.fromEntries(entries);
}

async function postgresPid(dataDir: string): Promise<number> {
  return Number((await readFile(join(dataDir, 'postgres/cluster/postmaster.pid'), 'utf8')).split('\n')[0]);
}

async function isReady(port: number): Promise<boolean> {
  return fetch(`http://127.0.0.1:${port}/readyz`).then(
    ({ status }) => status === 200,
    () => false,
  );
}

test(
  'one command brings everything up, one Ctrl-C takes everything down, and the next start goes on',
  async () => {
    const dataDir = dir.path('whole');
    const first = await npmStart(dataDir);
    await untilItRuns(first);
    expect(await isReady(first.port)).toBe(true);
    const code = /Invite code +(\S+)/.exec(first.output())?.[1];
    const register = (port: number) =>
      fetch(`http://127.0.0.1:${port}/v1/auth/register`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ name: 'Ada', email: 'ada@example.com', inviteCode: code }),
      });
    expect((await register(first.port)).status).toBe(201);
    expect(Object.keys(await pidsOf(dataDir)).toSorted()).toEqual(['api', 'relay', 'temporal', 'worker']);

    const exit = once(first.child, 'exit');
    pressCtrlC(first);
    expect(await exit).toEqual([0, null]);
    expect(first.output()).toContain('Everything is stopped.');
    expect(await pidsOf(dataDir)).toEqual({});
    await expect(postgresPid(dataDir)).rejects.toThrow('ENOENT');

    const second = await npmStart(dataDir);
    await untilItRuns(second);
    // The invite is used up: the account is still there.
    expect((await register(second.port)).status).toBe(403);
  },
  FIRST_START_MS + 2 * PATIENCE_MS,
);

test(
  'every part that is killed comes back by itself',
  async () => {
    const dataDir = dir.path('killed');
    const start = await npmStart(dataDir);
    await untilItRuns(start);
    const before = await pidsOf(dataDir);
    const postgres = await postgresPid(dataDir);
    for (const pid of [...Object.values(before), postgres]) process.kill(pid, 'SIGKILL');

    await eventually(() => {
      for (const title of ['The API', 'The model relay', 'The worker', 'Temporal', 'PostgreSQL'])
        expect(start.output()).toContain(`${title} is back.`);
    }, PATIENCE_MS);
    await eventually(async () => expect(await isReady(start.port)).toBe(true), PATIENCE_MS);
    const after = await pidsOf(dataDir);
    for (const [name, pid] of Object.entries(before)) expect(after[name]).not.toBe(pid);
  },
  FIRST_START_MS + 2 * PATIENCE_MS,
);

test(
  'what a killed npm start leaves behind is ended by the next one',
  async () => {
    const dataDir = dir.path('abandoned');
    const first = await npmStart(dataDir);
    await untilItRuns(first);
    const left = await pidsOf(dataDir);
    process.kill(-(first.child.pid ?? 0), 'SIGKILL');
    await once(first.child, 'exit');
    expect(await pidsOf(dataDir)).toEqual(left);

    const second = await npmStart(dataDir);
    await untilItRuns(second);
    expect(second.output()).toContain(`left the API behind (process ${left['api']})`);
    expect(await isReady(second.port)).toBe(true);
    expect(await isReady(first.port)).toBe(false);
  },
  FIRST_START_MS + 2 * PATIENCE_MS,
);

test(
  'a second start on the same DATA_DIR is refused and harms nothing',
  async () => {
    const dataDir = dir.path('twice');
    const first = await npmStart(dataDir);
    await untilItRuns(first);
    const second = await npmStart(dataDir);
    expect(await once(second.child, 'exit')).toEqual([1, null]);
    expect(second.output()).toContain(`Thermidora already runs on ${dataDir} (process `);
    expect(await isReady(first.port)).toBe(true);
  },
  FIRST_START_MS + 2 * PATIENCE_MS,
);
