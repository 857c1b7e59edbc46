import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';

/** The loop devices of this machine whose file is the disk of this runtime. */
export async function attachedDisks(dataDir: string, runtimeId: string): Promise<string[]> {
  const file = join(dataDir, 'runtimes', runtimeId, 'disk.img');
  const { stdout } = await promisify(execFile)('losetup', ['--noheadings', '--output', 'NAME', '--associated', file]);
  return stdout.split('\n').filter((line) => line !== '');
}
