import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect } from '@jest/globals';
import { StaleEpochError } from '../../runtime/driver.ts';
import type { RuntimeDriver } from '../../runtime/driver.ts';
import { StateArchiveError, wholeArchive } from '../../runtime/state-archive.ts';

const MAX_BYTES = 1024 ** 3;

/** What a runtime stores becomes that of another one: what it is, where links lead, and who may do what with it. */
export async function expectCopied(driver: RuntimeDriver, from: string): Promise<void> {
  const to = `${from}-copy`;
  const at = (epoch: number) => ({ epoch, signal: AbortSignal.timeout(240_000) });
  const archive = await archiveOf(driver, from);
  expect(await listing(archive)).toEqual(expect.arrayContaining([expect.stringContaining('SOUL.md')]));

  const half = wholeArchive(pieces(archive.subarray(0, archive.length / 2)), { maxBytes: MAX_BYTES });
  await expect(driver.replaceState(to, half, at(1))).rejects.toThrow(StateArchiveError);
  await driver.replaceState(to, wholeArchive(pieces(archive), { maxBytes: MAX_BYTES }), at(2));
  expect(await listing(await archiveOf(driver, to))).toEqual(await listing(archive));
  expect(await driver.inspect(to)).toMatchObject({ status: 'exited' });

  await expect(driver.replaceState(to, pieces(archive), at(1))).rejects.toThrow(StaleEpochError);
  await driver.destroy(to, at(3));
  expect(await driver.readState(to, at(3).signal)).toBeNull();
}

async function* pieces(archive: Buffer): AsyncGenerator<Buffer> {
  for (let from = 0; from < archive.length; from += 65_536) yield archive.subarray(from, from + 65_536);
}

/** With its end. */
async function archiveOf(driver: RuntimeDriver, runtimeId: string): Promise<Buffer> {
  const state = await driver.readState(runtimeId, AbortSignal.timeout(240_000));
  const kept: Buffer[] = [];
  for await (const piece of state ?? []) kept.push(piece);
  return Buffer.concat(kept);
}

/** Modes, sizes, names and links, without owners, times, and what volumes with a group of their own do to folders. */
async function listing(archive: Buffer): Promise<string[]> {
  const listed = promisify(execFile)('tar', ['-tvf', '-'], { maxBuffer: MAX_BYTES });
  listed.child.stdin?.end(archive);
  const lines = (await listed).stdout.trimEnd().split('\n');
  const plain = (line: string) =>
    line
      .replace(/^(\S+)\s+\S+\s+(\d+) \S+ \S+ /, '$1 $2 ')
      .replace(/^(d.{5})[sS]/, '$1-')
      .replace(/^(d.{5})x/, '$1-');
  return lines.map(plain).toSorted();
}
