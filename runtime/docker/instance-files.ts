import { checkAnswer, requestText } from '../inside/file-changes.ts';
import type { FilesRequest } from '../inside/file-changes.ts';
import { hardening } from './container-profile.ts';
import type { Engine } from './engine.ts';
import { OUR_DIR, PROGRAM } from './in-container.ts';
import type { StateMount } from './instance-storage.ts';
import { runOnce } from './run-once.ts';

export interface FilesOptions {
  image: string;
  /** What the instance may write, as its gateway has it. */
  state: StateMount;
  /** The user of the instance, as the engine's create call says it. */
  user: string;
  labels: Record<string, string>;
  signal: AbortSignal;
}

const SCRIPT = `${OUR_DIR}/runtime/image/instance-files.ts`;
const LIMITS = { memoryMb: 256, cpus: 1, pids: 32 };
/**
 * Changes files of an instance from a separate container, which has the instance's volume and user and nothing
 * else: so it works whether a gateway runs or not, and whatever the instance has done to its own processes or memory.
 */
export async function changeFiles(engine: Engine, request: FilesRequest, options: FilesOptions): Promise<void> {
  const input = requestText(request);
  const { stdout, stderr } = await runOnce(
    engine,
    filesContainer(options, [PROGRAM.node, '--disable-warning=ExperimentalWarning', SCRIPT]),
    { input, signal: options.signal },
  );
  checkAnswer({ stdout, stderr }, { isDisk: options.state.Type === 'bind' });
}

/** The body of the engine's create call for a program that works on the files of an instance, as its user. */
export function filesContainer({ image, state, user, labels }: Omit<FilesOptions, 'signal'>, command: readonly string[]) {
  return {
    Image: image,
    User: user,
    Entrypoint: command,
    Cmd: [],
    Env: [],
    Labels: labels,
    WorkingDir: '/',
    HostConfig: {
      ...hardening(LIMITS),
      NetworkMode: 'none',
      Mounts: [state],
    },
  };
}
