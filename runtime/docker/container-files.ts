import type { OpenedFiles, OpenFiles } from '../inside/workspace-files.ts';
import type { Engine } from './engine.ts';
import { OUR_DIR, PROGRAM } from './in-container.ts';
import { filesContainer } from './instance-files.ts';
import type { Access } from './instance-storage.ts';
import { openContainer } from './open-container.ts';

/** What it takes to run a program beside the gateway of an instance. */
export interface Beside {
  engine: Engine;
  labelsOf: (runtimeId: string) => Record<string, string>;
  image: () => Promise<string>;
  /** Null: the runtime has no storage. */
  accessTo: (runtimeId: string, signal: AbortSignal) => Promise<Access | null>;
}

const FILES = [PROGRAM.node, '--disable-warning=ExperimentalWarning', `${OUR_DIR}/runtime/image/workspace-files.ts`];

/** Each call by one more container, which has the instance's storage and user and nothing else. */
export function containerFiles(deps: Beside): OpenFiles {
  return (runtimeId, signal) => openBeside(deps, runtimeId, FILES, signal);
}

/** Starts a program in such a container; null: the runtime has no storage. */
export async function openBeside(
  { engine, labelsOf, image, accessTo }: Beside,
  runtimeId: string,
  command: readonly string[],
  signal: AbortSignal,
): Promise<OpenedFiles | null> {
  const access = await accessTo(runtimeId, signal);
  if (!access) return null;
  const body = filesContainer({ image: await image(), labels: labelsOf(runtimeId), ...access }, command);
  return { program: await openContainer(engine, body, signal), isDisk: access.state.Type === 'bind' };
}
