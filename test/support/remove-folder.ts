import { rm } from 'node:fs/promises';

/** Removes a folder with all that is in it, also while a process that was just killed still makes files there. */
export const removeFolder = (path: string): Promise<void> =>
  rm(path, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
