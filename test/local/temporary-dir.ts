import { chmod, mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll } from '@jest/globals';
import { removeFolder } from '../support/remove-folder.ts';

/** A folder for the tests of this file; it is there from the first test on. */
export function temporaryDir(): { path(...names: string[]): string } {
  let dir = '';
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'thermidora-local-'));
    // PostgreSQL may have to run as another user, who must get in.
    await chmod(dir, 0o755);
  });
  afterAll(() => removeFolder(dir));
  return { path: (...names) => join(dir, ...names) };
}
