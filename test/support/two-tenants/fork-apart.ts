import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { constants, setPriority } from 'node:os';
import { fileURLToPath } from 'node:url';

/**
 * Starts this program as a process that gives way to all others: it stands for something on a machine of its own, and
 * must not take CPU time of what is measured.
 */
export function forkApart(program: URL): ChildProcess {
  const child = fork(fileURLToPath(program), { execArgv: [] });
  if (child.pid !== undefined) setPriority(child.pid, constants.priority.PRIORITY_LOW);
  return child;
}
