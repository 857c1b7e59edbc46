import { execFile } from 'node:child_process';
import { readFile, readdir } from 'node:fs/promises';
import { promisify } from 'node:util';
import { isErrno } from '../../lib/errno.ts';
import type { RuntimeLayout } from '../host/runtime-layout.ts';

/**
 * The pids of everything that runs for this runtime: the wrapper, the gateway, its helpers and what agents started,
 * also when they began new sessions or their parent died. They are known by a variable that they inherited, so a
 * process that cleared its environment is missed.
 */
export async function processesOf({ stateDir }: RuntimeLayout): Promise<number[]> {
  const mark = `OPENCLAW_STATE_DIR=${stateDir}`;
  return process.platform === 'linux' ? fromProc(mark) : fromPs(mark);
}

async function fromProc(mark: string): Promise<number[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number);
  const marked = await Promise.all(pids.map((pid) => hasVariable(pid, mark)));
  return pids.filter((_, index) => marked[index]);
}

async function hasVariable(pid: number, variable: string): Promise<boolean> {
  try {
    return (await readFile(`/proc/${pid}/environ`, 'utf8')).split('\0').includes(variable);
  } catch (error) {
    // Gone meanwhile, or another user's.
    if (isErrno(error, 'ENOENT', 'ESRCH', 'EACCES', 'EPERM')) return false;
    throw error;
  }
}

async function fromPs(mark: string): Promise<number[]> {
  const { stdout } = await promisify(execFile)('ps', ['-axwwE', '-o', 'pid=,command='], { maxBuffer: 64 * 1024 ** 2 });
  const lines = stdout.split('\n').filter((line) => `${line} `.includes(`${mark} `));
  return lines.map((line) => Number.parseInt(line, 10));
}
