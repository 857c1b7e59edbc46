import type { BigIntStats } from 'node:fs';
import type { ByteRange, Etags, FileFacts } from '../driver-files.ts';

/** What is told of a file. The time of its last change of any kind is in its etag, because no program can set that one. */
export function factsOf(path: string, stats: BigIntStats): FileFacts {
  const { size, mtimeMs, ctimeNs, ino } = stats;
  const etag = `"${[ctimeNs, size, ino].map((part) => part.toString(36)).join('-')}"`;
  return { path, size: Number(size), modifiedAtMs: Number(mtimeMs), etag };
}

/** Whether the file is in one of these states. */
export function isAmong(etags: Etags, { etag }: Pick<FileFacts, 'etag'>): boolean {
  return etags === '*' || etags.includes(etag);
}

export interface Bytes {
  from: number;
  bytes: number;
}

/** The bytes of a file of this size that a range means; null when it has none of them. */
export function bytesOfRange(range: ByteRange | null, size: number): Bytes | null {
  if (!range) return { from: 0, bytes: size };
  const { first, last } = range;
  const from = first ?? Math.max(0, size - (last ?? 0));
  const end = first === null || last === null ? size : Math.min(last + 1, size);
  return from < end ? { from, bytes: end - from } : null;
}
