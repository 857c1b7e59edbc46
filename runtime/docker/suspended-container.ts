import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { isErrno } from '../../lib/errno.ts';
import type { SuspendAnswer } from '../driver.ts';
import { textOf } from '../host/missing-files.ts';
import type { RuntimeLayout } from '../host/runtime-layout.ts';
import { moveToSwap } from '../host/suspended-memory.ts';
import { findContainerById } from './container-end.ts';
import type { Container } from './container-state.ts';
import { orElse } from './engine.ts';
import type { Engine } from './engine.ts';
import { isStopping } from './stopping-mark.ts';

/** A container that was not paused yet, or not any more. */
const CONFLICT = 409;
const processList = z.looseObject({ Processes: z.array(z.tuple([z.coerce.number().int().positive()], z.string())) });

/**
 * Pauses a container and moves the memory of its processes to swap. Call it under the runtime's lock. The mark comes first, so
 * that one whose suspension was cut off is known as suspended. `not_permitted` where the engine runs on another machine.
 */
export async function suspendContainer(
  engine: Engine,
  { layout, container, signal }: { layout: RuntimeLayout; container: Container | null; signal: AbortSignal },
): Promise<SuspendAnswer> {
  if (!container?.State.Running || (await isStopping(layout, container))) return 'not_running';
  return moveToSwap({
    pids: () => pidsOf(engine, container),
    async freeze() {
      await writeFile(markFile(layout), container.Id);
      await orElse(CONFLICT, null, () => engine.call('POST', `/containers/${container.Id}/pause`));
      return (await findContainerById(engine, container))?.State.Paused ?? false;
    },
    thaw: () => goOn(engine, layout, container),
    signal,
  });
}

/** Lets a suspended container go on. False when it is not suspended, or has ended. */
export async function resumeContainer(
  engine: Engine,
  { layout, container }: { layout: RuntimeLayout; container: Container | null },
): Promise<boolean> {
  if (!container?.State.Running || !(await isSuspended(layout, container))) return false;
  await goOn(engine, layout, container);
  return true;
}

/** Whether this driver has suspended exactly this container. */
export async function isSuspended(layout: RuntimeLayout, { Id }: Container): Promise<boolean> {
  return (await textOf(markFile(layout))) === Id;
}

async function goOn(engine: Engine, layout: RuntimeLayout, { Id }: Container): Promise<void> {
  await orElse([404, CONFLICT, 500], null, () => engine.call('POST', `/containers/${Id}/unpause`));
  await rm(markFile(layout), { force: true });
}

/** The processes of a container by the numbers that they have here; none when they are not processes of this machine. */
async function pidsOf(engine: Engine, { Id }: Container): Promise<number[]> {
  const listed = await orElse([404, 409, 500], null, () =>
    engine.call('GET', `/containers/${Id}/top`, { query: { ps_args: '-eo pid' } }),
  );
  if (listed === null) return [];
  const pids = processList.parse(listed).Processes.map(([pid]) => pid);
  const groups = await Promise.all(pids.map(groupsOf));
  return pids.filter((_, index) => groups[index]?.includes(Id));
}

/** Null when the process has ended. */
async function groupsOf(pid: number): Promise<string | null> {
  try {
    return await readFile(`/proc/${pid}/cgroup`, 'utf8');
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ESRCH')) return null;
    throw error;
  }
}

function markFile({ root }: RuntimeLayout): string {
  return join(root, 'suspended');
}
