import { PassThrough } from 'node:stream';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { pack as createPack } from 'tar-stream';
import type { Pack } from 'tar-stream';
import type { Entry } from './entries.ts';

/**
 * The entries as one `tar.gz`, made at the pace at which it is read, with one entry in memory at a time, or of a file a part of
 * it. An error of an entry, and a signal that aborts, break the archive off. `done` is called once, whatever happened.
 */
export function archiveOf(entries: AsyncIterable<Entry>, { modifiedAt, signal, failed, done }: ArchiveOptions): Readable {
  const pack = createPack();
  const archive = new PassThrough();
  const written = writeEntries(pack, entries, modifiedAt).catch((error: unknown) => {
    if (!signal.aborted) failed(error);
    pack.destroy(new Error('the archive broke off'));
  });
  const sent = pipeline(pack, createGzip(), archive, { signal }).catch(() => archive.destroy());
  void Promise.all([written, sent]).finally(done);
  return archive;
}

interface ArchiveOptions {
  /** Of every entry. */
  modifiedAt: Date;
  signal: AbortSignal;
  /** Called with the error that broke the archive off. */
  failed: (error: unknown) => void;
  done: () => void;
}

async function writeEntries(pack: Pack, entries: AsyncIterable<Entry>, mtime: Date): Promise<void> {
  for await (const { path: name, size, content } of entries) await pipeline(content, pack.entry({ name, size, mtime }));
  pack.finalize();
}
