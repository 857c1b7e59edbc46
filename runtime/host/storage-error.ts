import { isErrno } from '../../lib/errno.ts';

/** The machine's storage refuses: an operator must act, and the message says what to do. */
export class StorageError extends Error {}

/** Runs the work; what the storage refused comes out as a StorageError about this directory. */
export async function explainingStorage<T>(directory: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (isErrno(error, 'ENOSPC', 'EDQUOT'))
      throw new StorageError(`The disk that holds ${directory} is full. Free some space, then try again.`, { cause: error });
    if (isErrno(error, 'EACCES', 'EPERM', 'EROFS'))
      throw new StorageError(`${directory} cannot be written. Give its folders to the user that runs the worker.`, {
        cause: error,
      });
    throw error;
  }
}
