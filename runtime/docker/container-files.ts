import type { OpenFiles } from '../inside/workspace-files.ts';
import type { Engine } from './engine.ts';
import { OUR_DIR } from './in-container.ts';
import { filesContainer } from './instance-files.ts';
import type { Access } from './instance-storage.ts';
import { openContainer } from './open-container.ts';

interface Deps {
  engine: Engine;
  labelsOf: (runtimeId: string) => Record<string, string>;
  image: () => Promise<string>;
  /** Null: the runtime has no storage. */
  accessTo: (runtimeId: string, signal: AbortSignal) => Promise<Access | null>;
}

const SCRIPT = `${OUR_DIR}/runtime/image/workspace-files.ts`;

/** Each call by one more container, which has the instance's storage and user and nothing else. */
export function containerFiles({ engine, labelsOf, image, accessTo }: Deps): OpenFiles {
  return async (runtimeId, signal) => {
    const access = await accessTo(runtimeId, signal);
    if (!access) return null;
    const body = filesContainer({ image: await image(), labels: labelsOf(runtimeId), ...access }, SCRIPT);
    return { program: await openContainer(engine, body, signal), isDisk: access.state.Type === 'bind' };
  };
}
