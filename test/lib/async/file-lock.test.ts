import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { LockError, withLock } from '../../../lib/async/file-lock.ts';
import { PATIENCE_MS } from '../../support/eventually.ts';

const MODULE = join(import.meta.dirname, '../../../lib/async/file-lock.ts');
const patience = { timeoutMs: PATIENCE_MS };

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'file-lock-'));
});
afterAll(() => rm(dir, { recursive: true }));

test('one holder at a time, within a process too', async () => {
  const file = join(dir, 'one');
  let holders = 0;
  const work = async () => {
    holders += 1;
    expect(holders).toBe(1);
    await new Promise((resolve) => setImmediate(resolve));
    holders -= 1;
  };
  await Promise.all(Array.from({ length: 8 }, () => withLock(file, patience, work)));
});

test('it is free again after a failure, and the failure comes out', async () => {
  const file = join(dir, 'failure');
  await expect(withLock(file, patience, () => Promise.reject(new Error('inside')))).rejects.toThrow('inside');
  expect(await withLock(file, patience, async () => 'mine')).toBe('mine');
});

test('it is held against other processes, and free the moment its holder is killed', async () => {
  const file = join(dir, 'killed');
  const script = `
    import { withLock } from ${JSON.stringify(MODULE)};
    await withLock(process.argv[1], { timeoutMs: ${PATIENCE_MS} }, () => new Promise(() => { console.log('held'); setInterval(() => {}, 1000); }));
  `;
  const holder = spawn(process.execPath, ['--input-type=module', '--eval', script, file], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(holder.stdout, 'data');
  await expect(withLock(file, { timeoutMs: 50 }, async () => 'mine')).rejects.toThrow(LockError);
  holder.kill('SIGKILL');
  await once(holder, 'exit');
  expect(await withLock(file, patience, async () => 'mine')).toBe('mine');
});

test('waiting ends with the signal', async () => {
  const file = join(dir, 'signal');
  await withLock(file, patience, async () => {
    const waiting = withLock(file, { ...patience, signal: AbortSignal.timeout(20) }, async () => 'mine');
    await expect(waiting).rejects.toMatchObject({ name: 'AbortError' });
  });
});

test('a place where no file can be is said', async () => {
  await writeFile(join(dir, 'file'), '');
  await expect(withLock(join(dir, 'file', 'below'), patience, async () => 'mine')).rejects.toThrow('cannot be opened');
});
