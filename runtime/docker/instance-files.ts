import { z } from 'zod';
import { jsonOrNull } from '../../lib/text/json-or-null.ts';
import { InstanceDiskFullError, UnsafePathError } from '../driver.ts';
import { hardening } from './container-profile.ts';
import type { Engine } from './engine.ts';
import { OUR_DIR, PROGRAM, STATE_DIR } from './in-container.ts';
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

export type FilesRequest = { put: { directory: string; files: ReadonlyMap<string, Buffer> } } | { remove: readonly string[] };

const SCRIPT = `${OUR_DIR}/runtime/image/instance-files.ts`;
const LIMITS = { memoryMb: 256, cpus: 1, pids: 32 };
const answerLine = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('done') }),
  z.object({ kind: z.literal('unsafe'), message: z.string() }),
  z.object({ kind: z.literal('failed'), message: z.string(), code: z.string().nullable() }),
]);

/**
 * Changes files of an instance from a separate container, which has the instance's volume and user and nothing
 * else: so it works whether a gateway runs or not, and whatever the instance has done to its own processes or memory.
 */
export async function changeFiles(engine: Engine, request: FilesRequest, options: FilesOptions): Promise<void> {
  const input = JSON.stringify(wordsOf(request));
  const { stdout, stderr } = await runOnce(engine, filesContainer(options, SCRIPT), { input, signal: options.signal });
  report({ stdout, stderr }, options);
}

function wordsOf(request: FilesRequest) {
  if ('remove' in request) return { root: STATE_DIR, remove: request.remove };
  const { directory, files } = request.put;
  return { root: STATE_DIR, put: { directory, files: [...files].map(([name, content]) => [name, content.toString('base64')]) } };
}

function report({ stdout, stderr }: { stdout: string; stderr: string }, { state }: FilesOptions): void {
  const line = stdout.trimEnd().split('\n').at(-1) ?? '';
  const answer = answerLine.safeParse(jsonOrNull(line)).data;
  if (!answer) throw new Error(`The files of an instance could not be changed: ${(stderr || stdout).slice(-500)}`);
  if (answer.kind === 'unsafe') throw new UnsafePathError(answer.message);
  if (answer.kind === 'failed' && answer.code === 'ENOSPC' && state.Type === 'bind')
    throw new InstanceDiskFullError(answer.message);
  if (answer.kind === 'failed') throw Object.assign(new Error(answer.message), { code: answer.code });
}

/** The body of the engine's create call for a program of ours that works on the files of an instance, as its user. */
export function filesContainer({ image, state, user, labels }: Omit<FilesOptions, 'signal'>, script: string) {
  return {
    Image: image,
    User: user,
    Entrypoint: [PROGRAM.node, '--disable-warning=ExperimentalWarning', script],
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
