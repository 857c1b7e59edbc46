import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from '@jest/globals';
import { z } from 'zod';
import { runs } from '../../runtime/host/process-identity.ts';
import { eventually } from './eventually.ts';

const moduleOf = (name: string) => JSON.stringify(join(import.meta.dirname, name));

/** A run that has started one process in a session of its own, and one with a folder of the run, and tells their ids. */
const RUN = `
  import { spawn } from 'node:child_process';
  import { openTestRun } from ${moduleOf('test-run.ts')};
  import { makeMemoryFolder } from ${moduleOf('memory-folder.ts')};
  import { ofThisRun, runFolder, testRunDir } from ${moduleOf('run-folder.ts')};
  await openTestRun();
  const start = (env) => spawn('/bin/sleep', ['3600'], { env, stdio: 'ignore', detached: true }).pid;
  const pids = [start(ofThisRun()), start({ DATA_DIR: await runFolder('stack') })];
  console.log(JSON.stringify({ directory: testRunDir(), inMemory: await makeMemoryFolder(), pids }));
  setInterval(() => {}, 1_000);
`;

/** One that ends by itself. */
const SHORT_RUN = `
  import { existsSync } from 'node:fs';
  import { closeTestRun, openTestRun } from ${moduleOf('test-run.ts')};
  import { makeMemoryFolder } from ${moduleOf('memory-folder.ts')};
  import { testRunDir } from ${moduleOf('run-folder.ts')};
  await openTestRun();
  const folders = [testRunDir(), await makeMemoryFolder()].filter((folder) => folder !== null);
  const before = folders.map(existsSync);
  await closeTestRun();
  console.log(JSON.stringify({ before, after: folders.map(existsSync) }));
`;

const told = z.object({ directory: z.string(), inMemory: z.string().nullable(), pids: z.array(z.number()) });

test('what a run has started does not outlive it when it is killed, and its folders are removed', async () => {
  const run = spawn(process.execPath, ['--input-type=module', '--eval', RUN], { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  run.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString();
  });
  const { directory, inMemory, pids } = await eventually(() => told.parse(JSON.parse(output)));
  expect(await Promise.all(pids.map(runs))).toEqual([true, true]);
  const gone = once(run, 'exit');
  run.kill('SIGKILL');
  await gone;

  await eventually(async () => {
    expect(await Promise.all(pids.map(runs))).toEqual([false, false]);
    expect([existsSync(directory), inMemory !== null && existsSync(inMemory)]).toEqual([false, false]);
  });
});

test('a run that ends leaves none of its folders', async () => {
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', SHORT_RUN]);
  const { before, after } = z.object({ before: z.array(z.boolean()), after: z.array(z.boolean()) }).parse(JSON.parse(stdout));
  expect(new Set(before)).toEqual(new Set([true]));
  expect(new Set(after)).toEqual(new Set([false]));
});
