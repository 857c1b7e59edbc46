import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll } from '@jest/globals';

/** A folder for the tests of this file; it is there from the first test on. */
export function temporaryDir(): { path(...names: string[]): string } {
  let dir = '';
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'thermidora-local-'));
    // PostgreSQL may have to run as another user, who must get in.
    await chmod(dir, 0o755);
  });
  afterAll(() => rm(dir, { recursive: true, force: true }));
  return { path: (...names) => join(dir, ...names) };
}
