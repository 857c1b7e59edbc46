import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, utimes, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { getPriority, tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { withLock } from '../../../lib/async/file-lock.ts';
import { StaleEpochError } from '../../../runtime/driver.ts';
import type { MutationCall, RuntimeSpec } from '../../../runtime/driver.ts';
import { raiseEpoch } from '../../../runtime/host/epoch-fence.ts';
import { readRecord } from '../../../runtime/process/gateway-record.ts';
import { scoreOf } from '../../../runtime/process/memory-share.ts';
import { statFieldsOf } from '../../../runtime/host/process-identity.ts';
import { ProcessDriver } from '../../../runtime/process/process-driver.ts';
import { layoutOf } from '../../../runtime/host/runtime-layout.ts';
import { eventually, PATIENCE_MS } from '../../support/eventually.ts';
import { niceOfSession } from '../../support/nice-of-session.ts';
import { removeFolder } from '../../support/remove-folder.ts';

// What is under test is how processes are started, known and ended; a small program stands for the gateway, whose
// own behaviour test/runtime/process-driver.test.ts covers.
const POLITE = `process.on('SIGTERM', () => setTimeout(() => process.exit(0), 200)); setInterval(() => {}, 1000); console.log('up');`;
const SLOW = `process.on('SIGTERM', () => { console.log('told'); setTimeout(() => process.exit(0), 2000); }); setInterval(() => {}, 1000); console.log('up');`;
const STUBBORN = `process.on('SIGTERM', () => {}); setInterval(() => {}, 1000); console.log('deaf');`;

/** Its first thread ends, another one goes on: what is left of a killed process until its last thread has ended. */
const HEADLESS = `
import ctypes, threading, time
threading.Thread(target=lambda: time.sleep(240)).start()
ctypes.CDLL(None).pthread_exit(None)
`;

const RUNTIME = 'r1';
const spec: RuntimeSpec = { runtimeId: RUNTIME, renderConfig: ({ port }) => JSON.stringify({ port }) };

let dir: string;
let dataDir: string;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'gateway-process-'));
  await writeFile(join(dir, 'polite.mjs'), POLITE);
  await writeFile(join(dir, 'slow.mjs'), SLOW);
  await writeFile(join(dir, 'stubborn.mjs'), STUBBORN);
  const python = await promisify(execFile)('python3', ['-c', 'import sys; print(sys.executable, end="")']);
  await writeFile(join(dir, 'headless'), `#!${python.stdout}${HEADLESS}`, { mode: 0o755 });
});
afterAll(() => removeFolder(dir));
beforeEach(async () => {
  dataDir = await mkdtemp(join(dir, 'data-'));
});
afterEach(() => open().destroy(RUNTIME, at(1_000)));

test('of several starts at once, one gateway comes', async () => {
  await Promise.all([1, 2, 3].map(() => open().ensureRunning(spec, at(1))));
  await eventually(async () => expect(await gateways()).toEqual([String((await record()).pid)]));
});

test('a gateway gives way to the control plane where CPU time is scarce', async () => {
  await open().ensureRunning(spec, at(1));
  await isUp();
  const { pid } = await record();
  expect(getPriority(pid)).toBeGreaterThan(getPriority());
  // Null where Linux does not share CPU time out among sessions.
  expect([null, '5']).toContain(await niceOfSession(pid));
});

test('a gateway can be made to give way to all others for a while, in CPU time and in memory', async () => {
  await open().ensureRunning(spec, at(1));
  await isUp();
  const { pid } = await record();
  const [before, score] = [await niceOfSession(pid), await scoreOf(pid)];
  await open().giveWay(RUNTIME, true);
  expect(await niceOfSession(pid)).toBe(before && '15');
  expect(await scoreOf(pid)).toBe(score === null ? null : Math.min(score + 500, 1_000));
  await open().giveWay(RUNTIME, false);
  expect(await niceOfSession(pid)).toBe(before && '5');
  expect(await scoreOf(pid)).toBe(score);
});

test('a signal does not open the debugger of a gateway', async () => {
  await open().ensureRunning(spec, at(1));
  await isUp();
  const { pid } = await record();
  process.kill(pid, 'SIGUSR1');
  const output = layoutOf(dataDir, RUNTIME).outputFile;
  // It answers the next signal, so it has had the one before.
  await open().stop(RUNTIME, { graceMs: PATIENCE_MS }, at(2));
  expect(await readFile(output, 'utf8')).not.toContain('Debugger listening');
});

test('a gateway outlives the process group that started it, and the next process takes it up', async () => {
  const worker = spawn(process.execPath, ['--input-type=module', '--eval', WORKER, dataDir, join(dir, 'polite.mjs')], {
    detached: true,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(worker.stdout, 'data');
  process.kill(-worker.pid!, 'SIGKILL');
  await once(worker, 'exit');

  expect(await open().inspect(RUNTIME)).toMatchObject({ status: 'running' });
  const { pid } = await record();
  await open().ensureRunning(spec, at(2));
  expect((await record()).pid).toBe(pid);
  await isUp();
  await open().stop(RUNTIME, { graceMs: PATIENCE_MS }, at(2));
  expect(await open().exitOf(RUNTIME)).toMatchObject({ code: 0, signal: null });
});

test('of two wrappers for one directory, the later one runs nothing', async () => {
  await open().ensureRunning(spec, at(1));
  const { pid } = await record();
  const wrapper = join(import.meta.dirname, '../../../runtime/process/run-gateway.sh');
  await promisify(execFile)('/bin/sh', [wrapper, layout().root, 'late', 'touch', join(dataDir, 'ran')]);
  expect((await record()).pid).toBe(pid);
  await expect(readFile(join(dataDir, 'ran'))).rejects.toThrow('ENOENT');
});

test('a port that someone else has taken is replaced, also in the configuration', async () => {
  await open().ensureRunning(spec, at(1));
  const before = await portOf();
  await open().stop(RUNTIME, { graceMs: PATIENCE_MS }, at(1));
  const squatter = createServer().listen(before, '127.0.0.1');
  await once(squatter, 'listening');
  try {
    await open().ensureRunning(spec, at(1));
    expect(await portOf()).not.toBe(before);
    expect(JSON.parse(await readFile(layout().configFile, 'utf8'))).toEqual({ port: await portOf() });
  } finally {
    squatter.close();
  }
});

test('the port is kept from one start to the next', async () => {
  await open().ensureRunning(spec, at(1));
  const before = await portOf();
  await open().stop(RUNTIME, { graceMs: PATIENCE_MS }, at(1));
  await open().ensureRunning(spec, at(1));
  expect(await portOf()).toBe(before);
});

test('when the wrapper dies with its gateway, the exit is the last trace of the gateway', async () => {
  await open().ensureRunning(spec, at(1));
  await isUp();
  const { wrapperPid, startedAt } = await record();
  const trace = new Date(startedAt.getTime() + 5_000);
  await utimes(layout().outputFile, trace, trace);
  process.kill(-wrapperPid, 'SIGKILL');
  await eventually(async () => expect(await open().inspect(RUNTIME)).toMatchObject({ status: 'exited' }));
  expect(await open().exitOf(RUNTIME)).toEqual({ at: trace, code: null, signal: null });
});

test('another process with the same pid is neither taken for the gateway nor killed', async () => {
  await mkdir(layout().root, { recursive: true });
  await writeFile(join(layout().root, 'process'), `run\n${process.pid}\n12345\n${process.pid}\n`);
  expect(await open().inspect(RUNTIME)).toMatchObject({ status: 'exited' });
  await open().stop(RUNTIME, { graceMs: 0 }, at(1));
  await open().ensureRunning(spec, at(1));
  expect((await record()).pid).not.toBe(process.pid);
});

test('a gateway that does not end is killed after the grace', async () => {
  await startStubborn();
  await open().stop(RUNTIME, { graceMs: 100 }, at(1));
  expect(await open().exitOf(RUNTIME)).toMatchObject({ code: null, signal: 'SIGKILL' });
  expect(await gateways()).toEqual([]);
});

test('a gateway whose first thread has ended is gone only once its last one has', async () => {
  const headless = open(join(dir, 'polite.mjs'), join(dir, 'headless'));
  await headless.ensureRunning(spec, at(1));
  const { pid } = await record();
  await eventually(async () => expect((await statFieldsOf(pid))?.[0]).toBe('Z'));
  expect(await headless.inspect(RUNTIME)).toMatchObject({ status: 'running' });
  expect(await headless.exitOf(RUNTIME)).toBeNull();
  await headless.stop(RUNTIME, { graceMs: 0 }, at(1));
  expect(await headless.inspect(RUNTIME)).toMatchObject({ status: 'exited' });
  expect(await statFieldsOf(pid)).toBeNull();
});

test('a destroy does not wait for the grace of a stop, which then learns that it was superseded', async () => {
  await startStubborn();
  const stop = open().stop(RUNTIME, { graceMs: 600_000 }, at(1));
  const refused = expect(stop).rejects.toThrow(StaleEpochError);
  await open().destroy(RUNTIME, at(2));
  await refused;
  expect(await open().inspect(RUNTIME)).toMatchObject({ status: 'absent' });
});

test('a gateway that was told to end is not adopted: the next start makes a new one', async () => {
  await open(join(dir, 'slow.mjs')).ensureRunning(spec, at(1));
  const { pid } = await record();
  await isUp();
  const caller = new AbortController();
  // On a machine that is slower still it has ended by then, and the stop with it.
  const stopped = open()
    .stop(RUNTIME, { graceMs: 600_000 }, { epoch: 1, signal: caller.signal })
    .catch(() => undefined);
  await eventually(async () => expect(await open().logs(RUNTIME, 1)).toEqual([{ at: null, text: 'told' }]));
  caller.abort();
  await stopped;
  await open().ensureRunning(spec, at(2));
  expect((await record()).pid).not.toBe(pid);
  await eventually(async () => expect(await gateways()).toEqual([String((await record()).pid)]));
});

test('a create that was superseded while it waited for its turn starts nothing', async () => {
  await open().writeConfig(spec, at(1));
  const create = await withLock(layout().lockFile, { timeoutMs: PATIENCE_MS }, async () => {
    const waiting = open().ensureRunning(spec, at(1));
    waiting.catch(() => {});
    await raiseEpoch(layout(), RUNTIME, 2);
    return { waiting };
  });
  await expect(create.waiting).rejects.toThrow(StaleEpochError);
  expect(await gateways()).toEqual([]);
});

test('a program that cannot be started says where its reason stands', async () => {
  const broken = open(join(dir, 'polite.mjs'), '/nonexistent/node');
  await broken.ensureRunning(spec, at(1));
  await eventually(async () => expect(await broken.exitOf(RUNTIME)).toMatchObject({ code: 127 }));
  expect((await broken.logs(RUNTIME, 5)).map(({ text }) => text).join()).toContain('/nonexistent/node');
});

const WORKER = `
  import { ProcessDriver } from ${JSON.stringify(join(import.meta.dirname, '../../../runtime/process/process-driver.ts'))};
  const [dataDir, entry] = process.argv.slice(1);
  const program = { node: process.execPath, entry, compileCacheDir: dataDir };
  const driver = new ProcessDriver({ dataDir, relayUrl: 'http://127.0.0.1:9/v1', program });
  const signal = new AbortController().signal;
  await driver.ensureRunning({ runtimeId: '${RUNTIME}', renderConfig: () => '{}' }, { epoch: 1, signal });
  console.log('started');
  setInterval(() => {}, 1000);
`;

function open(entry = join(dir, 'polite.mjs'), node = process.execPath): ProcessDriver {
  return new ProcessDriver({ dataDir, relayUrl: 'http://127.0.0.1:9/v1', program: { node, entry, compileCacheDir: dir } });
}

/** Returns when it listens to SIGTERM. */
function isUp(): Promise<void> {
  return eventually(async () => expect(await open().logs(RUNTIME, 1)).toEqual([{ at: null, text: 'up' }]));
}

/** Returns when it is deaf to SIGTERM. */
async function startStubborn(): Promise<void> {
  const driver = open(join(dir, 'stubborn.mjs'));
  await driver.ensureRunning(spec, at(1));
  await eventually(async () => expect(await driver.logs(RUNTIME, 1)).toEqual([{ at: null, text: 'deaf' }]));
}

function at(epoch: number): MutationCall {
  return { epoch, signal: AbortSignal.timeout(PATIENCE_MS) };
}

function layout() {
  return layoutOf(dataDir, RUNTIME);
}

async function record() {
  const found = await readRecord(layout());
  if (!found) throw new Error('no gateway was started');
  return found;
}

async function portOf(): Promise<number> {
  return Number(await readFile(layout().portFile, 'utf8'));
}

/** The pids of all programs that stand for gateways in this file, without their wrappers. */
async function gateways(): Promise<string[]> {
  const { stdout } = await promisify(execFile)('ps', ['-e', '-o', 'pid=,args='], { maxBuffer: 16 * 1024 ** 2 });
  const lines = stdout.split('\n').filter((line) => line.includes(`${dir}/`) && line.trim().split(/\s+/)[1] === process.execPath);
  return lines.map((line) => line.trim().split(/\s+/)[0]!);
}
