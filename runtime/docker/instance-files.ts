import { z } from 'zod';
import { UnsafePathError } from '../driver.ts';
import { hardening } from './container-profile.ts';
import type { Engine } from './engine.ts';
import { OUR_DIR, PROGRAM, STATE_DIR, USER } from './in-container.ts';
import { textOfFrames } from './output-frames.ts';

export interface FilesOptions {
  image: string;
  /** The volume of the instance. */
  volume: string;
  labels: Record<string, string>;
  signal: AbortSignal;
}

export type FilesRequest = { put: { directory: string; files: ReadonlyMap<string, Buffer> } } | { remove: readonly string[] };

const SCRIPT = `${OUR_DIR}/runtime/image/instance-files.ts`;
const LIMITS = { memoryMb: 256, cpus: 1, pids: 32 };
const ANSWER_BYTES = 64 * 1024;
const created = z.looseObject({ Id: z.string() });
const answerLine = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('done') }),
  z.object({ kind: z.literal('unsafe'), message: z.string() }),
  z.object({ kind: z.literal('failed'), message: z.string(), code: z.string().nullable() }),
]);

/**
 * Changes files of an instance from a container of their own, which has the instance's volume and user and nothing
 * else: so it works whether a gateway runs or not, and whatever the instance has done to its own processes or memory.
 */
export async function changeFiles(engine: Engine, request: FilesRequest, options: FilesOptions): Promise<void> {
  const { signal } = options;
  const { Id } = created.parse(await engine.call('POST', '/containers/create', { body: filesContainer(options), signal }));
  try {
    const stream = await engine.attach(`/containers/${Id}/attach`, {
      query: { stream: '1', stdin: '1', stdout: '1', stderr: '1' },
      signal,
    });
    try {
      await engine.call('POST', `/containers/${Id}/start`, { signal });
      stream.end(JSON.stringify(wordsOf(request)));
      report(await textOfFrames(stream, { keepBytes: ANSWER_BYTES }));
    } finally {
      stream.destroy();
    }
  } finally {
    await engine.call('DELETE', `/containers/${Id}`, { query: { force: '1' } });
  }
}

function wordsOf(request: FilesRequest) {
  if ('remove' in request) return { root: STATE_DIR, remove: request.remove };
  const { directory, files } = request.put;
  return { root: STATE_DIR, put: { directory, files: [...files].map(([name, content]) => [name, content.toString('base64')]) } };
}

function report(output: string): void {
  const line = output.trimEnd().split('\n').at(-1) ?? '';
  const answer = answerLine.safeParse(jsonOf(line)).data;
  if (!answer) throw new Error(`The files of an instance could not be changed: ${output.slice(-500)}`);
  if (answer.kind === 'unsafe') throw new UnsafePathError(answer.message);
  if (answer.kind === 'failed') throw Object.assign(new Error(answer.message), { code: answer.code });
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function filesContainer({ image, volume, labels }: FilesOptions) {
  return {
    Image: image,
    User: USER,
    Entrypoint: [PROGRAM.node, '--disable-warning=ExperimentalWarning', SCRIPT],
    Cmd: [],
    Env: [],
    Labels: labels,
    WorkingDir: '/',
    OpenStdin: true,
    StdinOnce: true,
    AttachStdin: true,
    AttachStdout: true,
    AttachStderr: true,
    HostConfig: {
      ...hardening(LIMITS),
      NetworkMode: 'none',
      Mounts: [{ Type: 'volume', Source: volume, Target: STATE_DIR }],
    },
  };
}
