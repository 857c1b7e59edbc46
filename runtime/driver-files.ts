import type { Readable } from 'node:stream';

/** The workspace of an agent, which has the name `gatewayAgentId` inside its gateway. */
export interface WorkspacePlace {
  runtimeId: string;
  gatewayAgentId: string;
}

export interface FileFacts {
  /** Relative to the workspace. */
  path: string;
  size: number;
  modifiedAtMs: number;
  /** Another one whenever the file was changed or replaced, in the form of HTTP: `"..."`. */
  etag: string;
}

export interface FilesPage {
  files: FileFacts[];
  /** Where the next page begins; null: there is no more. */
  next: string | null;
}

/** Any of these states of a file, or `*` for any state. */
export type Etags = readonly string[] | '*';

/** The bytes from `first` to `last`, both included; without `first`, so many as `last` says from the end. */
export interface ByteRange {
  first: number | null;
  last: number | null;
}

export interface ReadOptions {
  range: ByteRange | null;
  /** Nothing is read while the file is in one of these states. */
  unless: Etags | null;
  signal: AbortSignal;
}

export type FileRead =
  | { kind: 'none' }
  | { kind: 'unchanged' | 'unsatisfiable'; facts: FileFacts }
  /** So many bytes from that one on. The stream fails when the file is changed before its end was read. */
  | { kind: 'content'; facts: FileFacts; from: number; bytes: number; content: Readable };

export interface WriteOptions {
  /** Nothing is written unless the file is in one of these states. */
  onlyIf: Etags | null;
  maxBytes: number;
  signal: AbortSignal;
}

/**
 * The files in the workspaces of agents, whether a gateway runs or not. No link is followed: what is behind one does not
 * exist here, nor does anything but regular files. Nothing is changed that no instance has stored yet.
 */
export interface RuntimeFiles {
  /** The files whose paths begin with the prefix and come after this one, in the order of their paths. */
  list(place: WorkspacePlace, options: ListOptions): Promise<FilesPage>;
  read(place: WorkspacePlace, path: string, options: ReadOptions): Promise<FileRead>;
  /**
   * Puts the content in the place of the file in one step once all of it is there. Throws NoStorageError, FileChangedError,
   * FileTooLargeError, UnsafePathError and InstanceDiskFullError, and what the content throws.
   */
  write(place: WorkspacePlace, path: string, content: AsyncIterable<Buffer>, options: WriteOptions): Promise<FileFacts>;
  /** False: there was no such file. */
  remove(place: WorkspacePlace, path: string, options: RemoveOptions): Promise<boolean>;
}

export interface RemoveOptions {
  /** Folders that are empty then go too, but those directly in the workspace. */
  withEmptyFolders?: boolean;
  signal: AbortSignal;
}

export interface ListOptions {
  prefix: string;
  /** The `next` of the page before, or a path; empty: from the beginning. */
  after: string;
  limit: number;
  signal: AbortSignal;
}

/** The instance has not stored anything yet: its gateway was never started. */
export class NoStorageError extends Error {}

/** The file is not, or is no longer, in the state that was asked for. */
export class FileChangedError extends Error {}

export class FileTooLargeError extends Error {}

/** A folder has more entries than can be put in order. */
export class FolderTooLargeError extends Error {}
