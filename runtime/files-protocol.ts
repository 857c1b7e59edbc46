import { z } from 'zod';
import { FileChangedError, FileTooLargeError, FolderTooLargeError, NoStorageError } from './driver-files.ts';
import type { WorkspacePlace } from './driver-files.ts';
import { InstanceDiskFullError, UnsafePathError } from './driver.ts';

/**
 * How an API process asks a worker for files: `GET /runtimes/<runtimeId>/agents/<gatewayAgentId>/files?prefix=&after=&limit=` for a
 * list, `.../files/<path>` with GET, PUT or DELETE for one. What is asked for beside the path stands in one header as JSON, and so
 * does what is told of a file that is read.
 */
export const OPTIONS_HEADER = 'x-options';
export const READ_HEADER = 'x-read';

export const MAX_LISTED = 1_000;

const etags = z.union([z.literal('*'), z.array(z.string()).max(64)]).nullable();
const range = z.object({ first: z.int().nonnegative().nullable(), last: z.int().nonnegative().nullable() }).nullable();
export const readOptions = z.object({ range, unless: etags });
export const removeOptions = z.object({ withEmptyFolders: z.boolean().default(false) });
export const writeOptions = z.object({ onlyIf: etags, maxBytes: z.int().positive() });

export const fileFacts = z.object({ path: z.string(), size: z.number(), modifiedAtMs: z.number(), etag: z.string() });
export const filesPage = z.object({ files: z.array(fileFacts).max(MAX_LISTED), next: z.string().nullable() });
/** A file that is read, without its content. */
export const readHead = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('none') }),
  z.object({ kind: z.enum(['unchanged', 'unsatisfiable']), facts: fileFacts }),
  z.object({ kind: z.literal('content'), facts: fileFacts, from: z.number(), bytes: z.number() }),
]);
export const removal = z.object({ removed: z.boolean() });

/** What may go wrong through no fault of ours, by the names under which it is told across a process's border. */
const KNOWN = {
  FileChangedError,
  FileTooLargeError,
  FolderTooLargeError,
  InstanceDiskFullError,
  NoStorageError,
  UnsafePathError,
};

export const failure = z.object({ name: z.string(), message: z.string() });

/** What is told of an error; null where it is not one of those that are known. */
export function failureOf(error: unknown): z.infer<typeof failure> | null {
  const name = Object.entries(KNOWN).find(([, Known]) => error instanceof Known)?.[0];
  return name !== undefined && Error.isError(error) ? { name, message: error.message } : null;
}

/** The error that was told. */
export function errorOf({ name, message }: z.infer<typeof failure>): Error {
  const Known = new Map<string, new (message: string) => Error>(Object.entries(KNOWN)).get(name);
  return Known ? new Known(message) : new Error(message);
}

/** The path of the request for this workspace, or for one file in it. */
export function targetOf({ runtimeId, gatewayAgentId }: WorkspacePlace, path?: string): string {
  const workspace = `/runtimes/${runtimeId}/agents/${gatewayAgentId}/files`;
  return path === undefined ? workspace : `${workspace}/${path.split('/').map(encodeURIComponent).join('/')}`;
}
