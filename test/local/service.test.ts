import { access, readFile, rm, writeFile } from 'node:fs/promises';
import { afterEach, expect, test } from '@jest/globals';
import { readPidFile } from '../../local/pid-file.ts';
import { createService, restartDelay } from '../../local/service.ts';
import type { Service, ServiceSpec } from '../../local/service.ts';
import { isAlive } from '../../runtime/host/process-identity.ts';
import { eventually, PATIENCE_MS } from '../support/eventually.ts';
import { temporaryDir } from './temporary-dir.ts';

const dir = temporaryDir();
const never = new AbortController().signal;
const services: Service[] = [];
afterEach(async () => {
  for (const service of services.splice(0)) await service.stop(AbortSignal.abort());
});

/** A program that is ready once its file is there. */
function serviceOf(name: string, script: string, changes: Partial<ServiceSpec> = {}, onSaid = () => {}) {
  const readyFile = dir.path(`${name}.ready`);
  const spec: ServiceSpec = {
    title: 'The part',
    program: { command: '/bin/sh', args: ['-c', script], env: { PATH: process.env['PATH'], READY: readyFile }, cwd: dir.path() },
    logFile: dir.path(`${name}.log`),
    pidFile: dir.path(`${name}.pid`),
    isReady: () =>
      access(readyFile).then(
        () => true,
        () => false,
      ),
    readyWithinMs: PATIENCE_MS,
    stop: { signal: 'SIGTERM', withinMs: PATIENCE_MS },
    ...changes,
  };
  const said: string[] = [];
  const say = (sentence: string): void => {
    said.push(sentence);
    onSaid();
  };
  const service = createService(spec, { say, now: () => performance.now() });
  services.push(service);
  return { service, said, spec, readyFile };
}

async function pidOf({ pidFile }: ServiceSpec): Promise<number> {
  return (await readPidFile(pidFile))?.pid ?? 0;
}

const RUNS = 'echo up; : >"$READY"; exec sleep 3600';

test('a part that is killed comes back by itself, and both are said', async () => {
  const { service, said, spec, readyFile } = serviceOf('killed', RUNS);
  await service.start(never);
  const first = await pidOf(spec);
  await rm(readyFile);
  process.kill(first, 'SIGKILL');
  await eventually(() => expect(said.at(-1)).toBe('The part is back.'));
  expect(said[0]).toBe(`The part was killed (SIGKILL); it is started again in 0.5 s (its log: ${spec.logFile}).`);
  expect(await pidOf(spec)).not.toBe(first);
});

test('a stopped part stays away, and its pid file goes', async () => {
  const { service, said, spec } = serviceOf('stopped', RUNS);
  await service.start(never);
  const identity = await readPidFile(spec.pidFile);
  await service.stop(never);
  expect(identity && (await isAlive(identity))).toBe(false);
  expect(said).toEqual([]);
  await expect(access(spec.pidFile)).rejects.toThrow('ENOENT');
});

test('a part that is stopped while it waits for its next start does not come back', async () => {
  const stopped = Promise.withResolvers<void>();
  // It says that it waits, and the wait begins.
  const stop = () => queueMicrotask(() => stopped.resolve(service.stop(never)));
  const { service, said, spec } = serviceOf('between', RUNS, {}, stop);
  await service.start(never);
  process.kill(await pidOf(spec), 'SIGKILL');
  await stopped.promise;
  expect(said).toHaveLength(1);
  expect(await readFile(spec.logFile, 'utf8')).toBe('up\n');
});

test('a start that fails says how it ended and shows what it wrote this time', async () => {
  const { service, spec } = serviceOf(
    'failing',
    'echo \'{"msg":"no luck","err":{"message":"port taken"}}\'; echo raw >&2; exit 3',
  );
  await writeFile(spec.logFile, 'of an earlier start\n');
  await expect(service.start(never)).rejects.toThrow(
    `The part ended with exit code 3. The end of ${spec.logFile}:\n  no luck: port taken\n  raw`,
  );
  await expect(service.start(never)).rejects.not.toThrow('earlier');
});

test('a start that never gets ready ends with its deadline, in words', async () => {
  const { service } = serviceOf('slow', 'exec sleep 3600', { readyWithinMs: 200 });
  await expect(service.start(never)).rejects.toThrow('The part was not ready within 0.2 s.');
});

test('a program that does not exist is a refusal like any other', async () => {
  const { service } = serviceOf('missing', '', { program: { command: '/no/such/program', args: [], env: {}, cwd: '/' } });
  await expect(service.start(never)).rejects.toThrow('The part ended with exit code 127');
});

const DEAF = `trap '' TERM; : >"$READY"; while :; do sleep 3600; done`;

test('a part that does not end in time is killed, with all that it started', async () => {
  const { service, said } = serviceOf('deaf', DEAF, { stop: { signal: 'SIGTERM', withinMs: 100 } });
  await service.start(never);
  await service.stop(never);
  expect(said).toEqual(['The part did not stop within 0.1 s and is killed.']);
});

test('hurry kills at once what would take its time', async () => {
  const { service, spec } = serviceOf('hurried', DEAF, { stop: { signal: 'SIGTERM', withinMs: 3_600_000 } });
  await service.start(never);
  const identity = await readPidFile(spec.pidFile);
  const hurry = new AbortController();
  const stopped = service.stop(hurry.signal);
  hurry.abort();
  await stopped;
  expect(identity && (await isAlive(identity))).toBe(false);
});

test('the waits grow to ten seconds, and begin anew after a minute that went well', () => {
  const waits: number[] = [];
  for (let last: number | null = null; waits.length < 7; waits.push(last)) last = restartDelay(last, 0);
  expect(waits).toEqual([500, 1_000, 2_000, 4_000, 8_000, 10_000, 10_000]);
  expect(restartDelay(10_000, 60_000)).toBe(500);
});
