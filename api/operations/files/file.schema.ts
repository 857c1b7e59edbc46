import { z } from 'zod';
import { agentFilePathProblem } from '../../../domain/agents/agent-file-path.ts';
import { AppError } from '../../../domain/errors.ts';
import { InstanceDiskFullError, UnsafePathError } from '../../../runtime/driver.ts';
import { FileChangedError, FileTooLargeError, FolderTooLargeError, NoStorageError } from '../../../runtime/driver-files.ts';
import { timestamp } from '../../contract/fields.ts';
import { invalidRequest } from '../../contract/invalid-request.ts';
import { agentParams } from '../agents/agent.schema.ts';

export const MAX_UPLOAD_BYTES = 25 * 1024 * 1024;

export const pathField = z.string().meta({
  description: 'The path of the file in the workspace, relative and without "..". Slashes can be sent as they are.',
  example: 'notes/today.md',
});

export const fileParams = agentParams.extend({ path: pathField });

export const fileFields = {
  path: pathField,
  size: z.int().meta({ description: 'In bytes.' }),
  modifiedAt: timestamp,
};

/** Throws `invalid_request` for a path that no file of an agent can have. */
export function requireFilePath(path: string): void {
  const problem = agentFilePathProblem(path);
  if (problem !== null) throw invalidRequest([{ path: 'path', message: problem }]);
}

/** Ends with the error of the API for what the files of a runtime answer. */
export async function explainingFiles<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw explain(error);
  }
}

function explain(cause: unknown): unknown {
  if (cause instanceof FileChangedError) return notInState(cause);
  if (cause instanceof FileTooLargeError) return new AppError('payload_too_large', cause.message, { cause });
  if (cause instanceof FolderTooLargeError)
    return new AppError('conflict', `${cause.message} List other folders with \`prefix\`, or have some of its files removed.`, {
      cause,
    });
  if (cause instanceof UnsafePathError)
    return new AppError(
      'conflict',
      'A folder or a link stands in the place of this file or of one of its folders. Use another path.',
      { cause },
    );
  if (cause instanceof InstanceDiskFullError)
    return new AppError('payload_too_large', 'The disk of this instance is full. Delete files, then try again.', {
      reason: 'disk_full',
      cause,
    });
  if (cause instanceof NoStorageError)
    return new AppError(
      'instance_not_ready',
      'This instance has no workspace before its first start. Start it, then try again.',
      { cause },
    );
  return cause;
}

/** `precondition_failed`: the file is in another state than If-Match names. */
export function notInState(cause?: unknown): AppError {
  return new AppError('precondition_failed', 'The file is not in the state that If-Match names. Read it again, then decide.', {
    cause,
  });
}

export const fileNotFound = (): AppError => new AppError('not_found', 'File not found');
