import { once } from 'node:events';
import { buffer } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { UnsafePathError } from '../../../runtime/driver.ts';
import type { MutationCall, RuntimeDriver } from '../../../runtime/driver.ts';
import { FileChangedError, FileTooLargeError, NoStorageError } from '../../../runtime/driver-files.ts';
import type { FileRead, ReadOptions, WriteOptions } from '../../../runtime/driver-files.ts';
import { eventually } from '../../support/eventually.ts';

export interface FilesHarness {
  driver: RuntimeDriver;
  /** Runs a script in the workspace of the agent, as its programs would. */
  run(script: string): Promise<unknown>;
  call(): MutationCall;
  /** How many files a page has when eight are read in pages. */
  pageSizes: readonly number[];
  close(): Promise<void>;
}

/** The runtime that the harness has stored something of. */
export const PLACE = { runtimeId: 'files', gatewayAgentId: 'alpha' };
const MEBIBYTE = 1024 ** 2;
const signal = new AbortController().signal;

async function* of(...pieces: (string | Buffer | Error)[]): AsyncGenerator<Buffer> {
  for (const piece of pieces) {
    if (piece instanceof Error) throw piece;
    yield Buffer.from(piece);
  }
}

/** The promises of RuntimeFiles. */
export function describeFiles(name: string, openHarness: () => Promise<FilesHarness>): void {
  describe(`the files of ${name}`, () => {
    let harness: FilesHarness;
    beforeAll(async () => {
      harness = await openHarness();
    });
    afterAll(() => harness.close());

    const files = () => harness.driver.files;
    const list = (options: { prefix?: string; after?: string; limit?: number } = {}) =>
      files().list(PLACE, { prefix: '', after: '', limit: 1_000, signal, ...options });
    const pathsOf = async (options?: Parameters<typeof list>[0]) => (await list(options)).files.map(({ path }) => path);
    const read = (path: string, options: Partial<ReadOptions> = {}) =>
      files().read(PLACE, path, { range: null, unless: null, signal, ...options });
    const write = (path: string, content: AsyncIterable<Buffer>, options: Partial<WriteOptions> = {}) =>
      files().write(PLACE, path, content, { onlyIf: null, maxBytes: MEBIBYTE, signal, ...options });
    const isFolder = (path: string) =>
      harness.run(`test -d '${path}'`).then(
        () => true,
        () => false,
      );
    const textOf = async (opened: FileRead | Promise<FileRead>) => {
      const one = await opened;
      return one.kind === 'content' ? (await buffer(one.content)).toString() : one.kind;
    };

    test('a file that is written is listed, read in whole and in parts, written anew and removed', async () => {
      const facts = await write('notes/a.md', of('hello ', 'world'));
      expect(facts).toEqual({ path: 'notes/a.md', size: 11, modifiedAtMs: expect.any(Number), etag: expect.any(String) });
      expect((await list({ prefix: 'notes/' })).files).toEqual([facts]);
      expect(await textOf(read('notes/a.md'))).toBe('hello world');
      expect(await textOf(read('notes/a.md', { range: { first: 6, last: 8 } }))).toBe('wor');
      expect(await textOf(read('notes/a.md', { range: { first: 6, last: null } }))).toBe('world');
      expect(await textOf(read('notes/a.md', { range: { first: null, last: 3 } }))).toBe('rld');
      expect(await textOf(read('notes/a.md', { range: { first: null, last: 99 } }))).toBe('hello world');
      expect(await read('notes/a.md', { range: { first: 11, last: null } })).toEqual({ kind: 'unsatisfiable', facts });
      expect(await read('notes/a.md', { range: { first: null, last: 0 } })).toEqual({ kind: 'unsatisfiable', facts });
      expect(await read('notes/a.md', { unless: [facts.etag] })).toEqual({ kind: 'unchanged', facts });
      expect(await read('notes/a.md', { unless: '*' })).toEqual({ kind: 'unchanged', facts });
      expect(await textOf(read('notes/a.md', { unless: ['"other"'] }))).toBe('hello world');

      const second = await write('notes/a.md', of(''));
      expect(second).toMatchObject({ size: 0 });
      expect(second.etag).not.toBe(facts.etag);
      expect(await textOf(read('notes/a.md'))).toBe('');
      expect(await files().remove(PLACE, 'notes/a.md', { signal })).toBe(true);
      expect(await files().remove(PLACE, 'notes/a.md', { signal })).toBe(false);
      expect(await read('notes/a.md')).toEqual({ kind: 'none' });
    });

    test('a file is removed with the folders that it leaves empty, where that is asked for, but those directly in the workspace', async () => {
      for (const path of ['inbox/one/deep/a.md', 'inbox/one/b.md']) await write(path, of('x'));
      // One after the other: the first one starts the gateway in which the others run.
      const folders = async () => [await isFolder('inbox'), await isFolder('inbox/one'), await isFolder('inbox/one/deep')];
      await files().remove(PLACE, 'inbox/one/deep/a.md', { withEmptyFolders: true, signal });
      expect(await folders()).toEqual([true, true, false]);
      await files().remove(PLACE, 'inbox/one/b.md', { withEmptyFolders: true, signal });
      expect(await folders()).toEqual([true, false, false]);
      await write('inbox/two/a.md', of('x'));
      await files().remove(PLACE, 'inbox/two/a.md', { signal });
      expect(await isFolder('inbox/two')).toBe(true);
    });

    test('a file is replaced only in the state that was asked for, and a content that is too large or breaks off leaves it', async () => {
      await expect(write('if.txt', of('x'), { onlyIf: '*' })).rejects.toThrow(FileChangedError);
      const { etag } = await write('if.txt', of('first'));
      await write('if.txt', of('second'), { onlyIf: ['"other"', etag] });
      await expect(write('if.txt', of('third'), { onlyIf: [etag] })).rejects.toThrow(FileChangedError);
      await expect(write('if.txt', of(Buffer.alloc(MEBIBYTE), 'x'))).rejects.toThrow(FileTooLargeError);
      await expect(write('if.txt', of('fourth', new Error('the client has gone')))).rejects.toThrow('the client has gone');
      expect(await textOf(read('if.txt'))).toBe('second');
      await write('if.txt', of(Buffer.alloc(MEBIBYTE)), { onlyIf: '*' });
      expect((await read('if.txt', { unless: '*' })).kind).toBe('unchanged');
      await harness.run('rm if.txt; test -z "$(ls ../../uploads)"');
    });

    test('nothing is reached through a link, and only regular files are files', async () => {
      await harness.run(
        'mkdir -p ../../tmp/target in && echo secret >../../tmp/target/file && echo mine >in/file && ' +
          'ln -s ../../tmp/target out && ln -s ../../tmp/target/file out.md && ln -s in/file inner.md && ln -s loop loop && ' +
          'ln -s . self && ln -s /etc/passwd passwd && mkfifo pipe && mkdir folder.md',
      );
      expect(await pathsOf()).toEqual(['in/file']);
      for (const path of ['out/file', 'out.md', 'inner.md', 'loop', 'self/in/file', 'passwd', 'pipe', 'folder.md', 'in'])
        expect([path, (await read(path)).kind]).toEqual([path, 'none']);
      for (const path of ['out/file', 'out.md', 'pipe', 'folder.md'])
        expect([path, await files().remove(PLACE, path, { signal })]).toEqual([path, false]);
      await expect(write('out/file', of('x'))).rejects.toThrow(UnsafePathError);
      await expect(write('folder.md', of('x'))).rejects.toThrow(UnsafePathError);
      await expect(write('in/file/below', of('x'))).rejects.toThrow(UnsafePathError);
      await write('out.md', of('instead of the link'));
      expect(await textOf(read('out.md'))).toBe('instead of the link');
      await harness.run(
        'test "$(cat ../../tmp/target/file)" = secret && rm -rf out out.md inner.md loop self passwd pipe folder.md in',
      );
    });

    test('names that no path can have, and what belongs to the gateway, are not shown', async () => {
      await harness.run(
        `mkdir -p .openclaw 'a b' && touch .openclaw/state.json 'back\\slash' "$(printf 'new\\nline')" "$(printf 'bad\\377')" 'a b/%2e%2e' ü.md C:x`,
      );
      expect(await pathsOf()).toEqual(['a b/%2e%2e', 'ü.md']);
      expect(await textOf(read('a b/%2e%2e'))).toBe('');
      await expect(read('../alpha/ü.md')).resolves.toEqual({ kind: 'none' });
      await harness.run('rm -rf .openclaw * ');
    });

    test('pages go on where the one before has ended, in the order of the paths, whatever comes and goes', async () => {
      await harness.run('mkdir -p a/b a.d z/empty && touch a/b/1 a/b/2 a/3 a.d/4 a-5 a.md z/6 0');
      const all = ['0', 'a-5', 'a.d/4', 'a.md', 'a/3', 'a/b/1', 'a/b/2', 'z/6'];
      expect(await list()).toMatchObject({ next: null });
      expect(await pathsOf()).toEqual(all);
      for (const limit of harness.pageSizes) {
        const found: string[] = [];
        for (let after: string | null = ''; after !== null;) {
          const page = await list({ after, limit });
          expect(page.files.length).toBeLessThanOrEqual(limit);
          found.push(...page.files.map(({ path }) => path));
          after = page.next;
        }
        expect([limit, found]).toEqual([limit, all]);
      }
      expect(await pathsOf({ prefix: 'a/' })).toEqual(['a/3', 'a/b/1', 'a/b/2']);
      expect(await pathsOf({ prefix: 'a/b/1' })).toEqual(['a/b/1']);
      expect(await pathsOf({ prefix: 'none' })).toEqual([]);
      expect(await pathsOf({ after: 'a/2' })).toEqual(['a/3', 'a/b/1', 'a/b/2', 'z/6']);
      await harness.run('rm -rf *');
    });

    test('a file that is changed while it is read ends with a failure, not with a mixture', async () => {
      await harness.run('head -c 4000000 /dev/zero >grows');
      for (const change of ['echo more >>grows', 'head -c 100 /dev/zero >grows']) {
        const opened = await read('grows');
        if (opened.kind !== 'content') throw new Error(opened.kind);
        await harness.run(change);
        await expect(buffer(opened.content)).rejects.toThrow(FileChangedError);
      }
      await harness.run('rm grows');
    });

    test('a reader that leaves in the middle leaves nothing behind', async () => {
      await harness.run('head -c 4000000 /dev/zero >left');
      const opened = await read('left');
      if (opened.kind !== 'content') throw new Error(opened.kind);
      opened.content.once('readable', () => opened.content.destroy());
      await once(opened.content, 'close');
      await harness.run('rm left');
    });

    test('a sparse file of a tebibyte is listed, and its end is read', async () => {
      await harness.run('truncate -s 1T sparse');
      expect((await list()).files).toMatchObject([{ path: 'sparse', size: 1024 ** 4 }]);
      expect(await textOf(read('sparse', { range: { first: null, last: 2 } }))).toBe('\0\0');
      await harness.run('rm sparse');
    });

    test('a runtime that has stored nothing has no files and takes none', async () => {
      const never = { ...PLACE, runtimeId: 'never' };
      expect(await files().list(never, { prefix: '', after: '', limit: 1, signal })).toEqual({ files: [], next: null });
      expect(await files().read(never, 'a', { range: null, unless: null, signal })).toEqual({ kind: 'none' });
      expect(await files().remove(never, 'a', { signal })).toBe(false);
      await expect(files().write(never, 'a', of('x'), { onlyIf: null, maxBytes: 1, signal })).rejects.toThrow(NoStorageError);
      expect((await harness.driver.inspect('never')).status).toBe('absent');
    });

    test('one that is set aside keeps what it has to itself', async () => {
      await write('kept.md', of('kept'));
      await harness.driver.quarantine(PLACE.runtimeId, { at: new Date() }, harness.call());
      expect(await pathsOf()).toEqual([]);
      await expect(write('kept.md', of('x'))).rejects.toThrow(NoStorageError);
      await harness.driver.restore(PLACE.runtimeId, harness.call());
      await eventually(async () => expect(await textOf(read('kept.md'))).toBe('kept'));
    });
  });
}
