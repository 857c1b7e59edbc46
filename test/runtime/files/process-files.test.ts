import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from '@jest/globals';
import { listFilesBelow } from '../../../runtime/host/list-files.ts';
import { writeFileBelow } from '../../../runtime/host/write-file.ts';
import { ProcessDriver } from '../../../runtime/process/process-driver.ts';
import { describeFiles, PLACE } from './files-contract.ts';
import type { FilesHarness } from './files-contract.ts';
import { removeFolder } from '../../support/remove-folder.ts';

describeFiles('a process', openHarness);

async function openHarness(): Promise<FilesHarness> {
  const dataDir = await mkdtemp(join(tmpdir(), 'process-files-'));
  const driver = new ProcessDriver({ dataDir, relayUrl: 'http://127.0.0.1:9/v1', program: null });
  const cwd = driver.paths(PLACE.runtimeId).workspaceOf(PLACE.gatewayAgentId);
  await mkdir(cwd, { recursive: true });
  await mkdir(join(cwd, '../../tmp'));
  return {
    driver,
    run: (script) => promisify(execFile)('/bin/bash', ['-ec', script], { cwd }),
    call: () => ({ epoch: 1, signal: new AbortController().signal }),
    pageSizes: [1, 2, 3, 7, 8],
    close: () => removeFolder(dataDir),
  };
}

async function inRoot(work: (root: string) => Promise<void>): Promise<void> {
  const root = await mkdtemp(join(tmpdir(), 'listed-'));
  try {
    await mkdir(join(root, 'w'));
    await work(root);
  } finally {
    await removeFolder(root);
  }
}

test('what is deeper than 64 folders is left out', () =>
  inRoot(async (root) => {
    const at = (depth: number) => 'd/'.repeat(depth);
    await mkdir(join(root, 'w', at(70)), { recursive: true });
    for (const depth of [64, 65, 70]) await writeFile(join(root, 'w', at(depth), 'f'), 'x');
    const page = await listFilesBelow(root, 'w', { prefix: '', after: '', limit: 10 });
    expect(page).toMatchObject({ files: [{ path: `${at(64)}f` }], next: null });
  }));

test('a folder of 100,001 entries is refused by its name, and the others are listed without it', () =>
  inRoot(async (root) => {
    await promisify(execFile)('/bin/bash', ['-ec', 'mkdir a big z; touch a/1 z/2; cd big; seq 100001 | xargs touch'], {
      cwd: join(root, 'w'),
    });
    const options = { after: '', limit: 10 };
    await expect(listFilesBelow(root, 'w', { ...options, prefix: '' })).rejects.toThrow('big/ has more than 100000 entries');
    expect(await listFilesBelow(root, 'w', { ...options, prefix: 'z/' })).toMatchObject({ files: [{ path: 'z/2' }] });
    await rm(join(root, 'w/big/1'));
    const page = await listFilesBelow(root, 'w', { ...options, prefix: 'big/' });
    expect([page.files.length, page.next]).toEqual([10, page.files.at(-1)?.path]);
  }));

test('a page that has gone into 2,000 folders ends without a file, and the next one goes on behind them', () =>
  inRoot(async (root) => {
    await promisify(execFile)(
      '/bin/bash',
      ['-ec', 'mkdir a b c; for d in a b c; do (cd $d; seq 1500 | xargs mkdir); done; touch d'],
      {
        cwd: join(root, 'w'),
      },
    );
    const pages: string[][] = [];
    for (let after: string | null = ''; after !== null;) {
      const page = await listFilesBelow(root, 'w', { prefix: '', after, limit: 10 });
      pages.push(page.files.map(({ path }) => path));
      after = page.next;
    }
    expect(pages).toEqual([[], [], ['d']]);
  }));

test('what a killed writer has left goes after an hour, and what is being written stays', () =>
  inRoot(async (root) => {
    await mkdir(join(root, 'uploads'));
    for (const name of ['left.new', 'fresh.new']) await writeFile(join(root, 'uploads', name), 'x');
    await utimes(join(root, 'uploads/left.new'), 0, Date.now() / 1_000 - 3_601);
    await writeFileBelow(root, { directory: 'w', path: 'f' }, (async function* () {})(), { onlyIf: null, maxBytes: 1 });
    const { stdout } = await promisify(execFile)('ls', ['uploads', 'w'], { cwd: root });
    expect(stdout).toBe('uploads:\nfresh.new\n\nw:\nf\n');
  }));
