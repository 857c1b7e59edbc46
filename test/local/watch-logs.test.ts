import { appendFileSync } from 'node:fs';
import { appendFile, readFile, writeFile } from 'node:fs/promises';
import { expect, test } from '@jest/globals';
import { watchLogs } from '../../local/watch-logs.ts';
import { eventually } from '../support/eventually.ts';
import { temporaryDir } from './temporary-dir.ts';

const dir = temporaryDir();

test('only whole lines that come after the beginning are passed on, each once', async () => {
  const file = dir.path('followed.log');
  await writeFile(file, 'before\n');
  const lines: string[] = [];
  const stop = await watchLogs([{ file, onLine: (line) => lines.push(line) }], { everyMs: 5 });
  await appendFile(file, 'one\ntw');
  await eventually(() => expect(lines).toEqual(['one']));
  await appendFile(file, 'o\n');
  await stop();
  expect(lines).toEqual(['one', 'two']);
});

test('a log that is not there yet is followed from its first line', async () => {
  const file = dir.path('later.log');
  const lines: string[] = [];
  const stop = await watchLogs([{ file, onLine: (line) => lines.push(line) }], { everyMs: 5 });
  await writeFile(file, 'first\n');
  await eventually(() => expect(lines).toEqual(['first']));
  await stop();
});

test('a log that has grown large is kept once and emptied, and its reader goes on', async () => {
  const file = dir.path('large.log');
  await writeFile(file, '');
  const lines: string[] = [];
  const stop = await watchLogs([{ file, onLine: (line) => lines.push(line) }], { everyMs: 5, largest: 100 });
  const long = 'x'.repeat(120);
  await appendFile(file, `${long}\n`);
  await eventually(async () => expect(await readFile(file, 'utf8')).toBe(''));
  expect(await readFile(`${file}.1`, 'utf8')).toBe(`${long}\n`);
  await appendFile(file, 'next\n');
  await stop();
  expect(lines).toEqual([long, 'next']);
});

test('a line that comes after a log was read and before it is emptied is passed on too', async () => {
  const file = dir.path('late.log');
  await writeFile(file, '');
  const long = 'x'.repeat(120);
  const lines: string[] = [];
  const onLine = (line: string) => {
    lines.push(line);
    if (line === 'first') appendFileSync(file, `${long}\n`);
  };
  const stop = await watchLogs([{ file, onLine }], { everyMs: 5, largest: 100 });
  await appendFile(file, 'first\n');
  await eventually(async () => expect(await readFile(`${file}.1`, 'utf8')).toBe(`first\n${long}\n`));
  await stop();
  expect(lines).toEqual(['first', long]);
});
