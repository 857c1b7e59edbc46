import { mkdtemp, open, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { lastLinesOf, trimOutput } from '../../../runtime/host/gateway-output.ts';

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'gateway-output-'));
});
afterAll(() => rm(dir, { recursive: true }));

test('an agent’s answers are not among the log lines', async () => {
  const file = join(dir, 'answers');
  const time = '2026-11-24T15:29:03.851+00:00';
  const records = [
    { time, level: 'info', subsystem: 'gateway', message: 'gateway ready' },
    { time, level: 'info', message: 'an answer\nof two lines' },
    { time, level: 'error', message: 'Gateway failed to start' },
  ];
  await writeFile(file, `not JSON\n${records.map((record) => `${JSON.stringify(record)}\n`).join('')}`);
  expect(await lastLinesOf(file, 10)).toEqual([
    { at: null, text: 'not JSON' },
    { at: '2026-11-24T15:29:03.851Z', text: 'info gateway: gateway ready' },
    { at: '2026-11-24T15:29:03.851Z', text: 'error gateway: Gateway failed to start' },
  ]);
});

test('only the last lines come, and never a part of one', async () => {
  const file = join(dir, 'long');
  await writeFile(file, Array.from({ length: 40_000 }, (_, index) => `line ${index}\n`).join(''));
  expect(await lastLinesOf(file, 2)).toEqual([
    { at: null, text: 'line 39998' },
    { at: null, text: 'line 39999' },
  ]);
  expect((await lastLinesOf(file, 1_000_000))[0]!.text).toMatch(/^line \d+$/);
  expect(await lastLinesOf(file, 0)).toEqual([]);
  expect(await lastLinesOf(join(dir, 'none'), 5)).toEqual([]);
});

test('output that has grown large begins anew under its writer, and the old text is kept once', async () => {
  const file = join(dir, 'large');
  const writer = await open(file, 'a');
  await writer.appendFile('old\n');
  await trimOutput(file);
  expect((await stat(file)).size).toBe(4);

  await truncate(file, 40 * 1024 ** 2);
  await trimOutput(file);
  await writer.appendFile('new\n');
  await writer.close();
  expect(await readFile(file, 'utf8')).toBe('new\n');
  expect((await stat(`${file}.1`)).size).toBe(40 * 1024 ** 2);
});
