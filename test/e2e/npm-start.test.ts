import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import { temporaryDir } from '../local/temporary-dir.ts';
import { eventually, PATIENCE_MS } from '../support/eventually.ts';
import { FIRST_START_MS, npmStart, pidsOf, postgresPid, untilItRuns } from '../support/npm-start.ts';
import type { Start } from '../support/npm-start.ts';

const started: ChildProcess[] = [];
afterAll(async () => {
  for (const child of started) {
    if (!runs(child)) continue;
    child.kill('SIGTERM');
    await once(child, 'exit');
  }
});
// Removed after that: hooks run in the order in which they are written.
const dir = temporaryDir();

/** Ended after the last test, however that ends. */
async function start(dataDir: string, env: Record<string, string> = {}): Promise<Start> {
  const begun = await npmStart(dataDir, env);
  started.push(begun.child);
  return begun;
}

const runs = (child: ChildProcess): boolean => child.exitCode === null && child.signalCode === null;

let last: Start | null = null;

/** What the test before has left running, else a new start in the same folder. */
async function running(): Promise<Start> {
  if (last && runs(last.child)) return last;
  last = await start(dir.path('whole'));
  await untilItRuns(last);
  return last;
}

/** Ctrl-C reaches everything that the terminal started in its foreground. */
function pressCtrlC({ child }: Start): void {
  process.kill(-(child.pid ?? 0), 'SIGINT');
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
    const first = await running();
    expect(await isReady(first.port)).toBe(true);
    const code = /Invite code +(\S+)/.exec(first.output())?.[1];
    const register = (port: number) =>
      fetch(`http://127.0.0.1:${port}/v1/auth/register`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ name: 'Ada', email: 'ada@example.com', inviteCode: code }),
      });
    expect((await register(first.port)).status).toBe(201);
    const apiKey = /API key +(\S+)/.exec(first.output())?.[1] ?? '';
    expect(await readFile(join(dataDir, 'api-key'), 'utf8')).toBe(`${apiKey}\n`);
    const me = (port: number) => fetch(`http://127.0.0.1:${port}/v1/auth/me`, { headers: { 'x-api-key': apiKey } });
    expect((await me(first.port)).status).toBe(200);
    expect(Object.keys(await pidsOf(dataDir)).toSorted()).toEqual(['api', 'relay', 'temporal', 'worker']);

    const exit = once(first.child, 'exit');
    pressCtrlC(first);
    expect(await exit).toEqual([0, null]);
    await eventually(() => expect(first.output()).toContain('Everything is stopped.'));
    expect(await pidsOf(dataDir)).toEqual({});
    await expect(postgresPid(dataDir)).rejects.toThrow('ENOENT');

    const second = await running();
    // The invite is used up: the account is still there.
    expect((await register(second.port)).status).toBe(403);
    expect((await me(second.port)).status).toBe(200);
    expect(second.output()).not.toContain(apiKey);
  },
  FIRST_START_MS + 2 * PATIENCE_MS,
);

test(
  'a second start on the same DATA_DIR is refused and harms nothing',
  async () => {
    const dataDir = dir.path('whole');
    const first = await running();
    const second = await start(dataDir);
    expect(await once(second.child, 'exit')).toEqual([1, null]);
    await eventually(() => expect(second.output()).toContain(`Thermidora already runs on ${dataDir} (process `));
    expect(await isReady(first.port)).toBe(true);
  },
  FIRST_START_MS + 2 * PATIENCE_MS,
);

test(
  'every part that is killed comes back by itself',
  async () => {
    const dataDir = dir.path('whole');
    const stack = await running();
    const before = await pidsOf(dataDir);
    const postgres = await postgresPid(dataDir);
    for (const pid of [...Object.values(before), postgres]) process.kill(pid, 'SIGKILL');

    await eventually(() => {
      for (const title of ['The API', 'The model relay', 'The worker', 'Temporal', 'PostgreSQL'])
        expect(stack.output()).toContain(`${title} is back.`);
    });
    await eventually(async () => expect(await isReady(stack.port)).toBe(true));
    const after = await pidsOf(dataDir);
    for (const [name, pid] of Object.entries(before)) expect(after[name]).not.toBe(pid);
  },
  FIRST_START_MS + 2 * PATIENCE_MS,
);

test(
  'what a killed npm start leaves behind is ended by the next one',
  async () => {
    const dataDir = dir.path('whole');
    const first = await running();
    const left = await pidsOf(dataDir);
    process.kill(-(first.child.pid ?? 0), 'SIGKILL');
    await once(first.child, 'exit');
    expect(await pidsOf(dataDir)).toEqual(left);

    const second = await running();
    await eventually(() => expect(second.output()).toContain(`left the API running (process ${left['api']})`));
    expect(await isReady(second.port)).toBe(true);
    expect(await isReady(first.port)).toBe(false);
  },
  FIRST_START_MS + 2 * PATIENCE_MS,
);

test(
  'an API that other machines can reach comes without a local account',
  async () => {
    const dataDir = dir.path('open');
    const stack = await start(dataDir, { HOST: '0.0.0.0' });
    await untilItRuns(stack);
    expect(await readdir(dataDir)).not.toContain('api-key');
    expect(stack.output()).not.toContain('API key');
  },
  FIRST_START_MS + PATIENCE_MS,
);
