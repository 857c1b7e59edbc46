import { z } from 'zod';
import { orElse } from './engine.ts';
import type { Engine } from './engine.ts';
import { outputsOf } from './output-frames.ts';

export interface OnceResult {
  /** The end of what it printed. */
  stdout: string;
  stderr: string;
  exitCode: number;
}

const ANSWER_BYTES = 64 * 1024;
const created = z.looseObject({ Id: z.string() });
const waited = z.looseObject({ StatusCode: z.number().int() });

export interface OnceOptions {
  /** Whatever bears it is ended first: one that a killed worker has left would work beside this one. */
  name?: string;
  /** What the container reads. */
  input?: string;
  signal: AbortSignal;
}

/**
 * Runs a container to its end and removes it, with the volumes that it alone had. `body` is that of the engine's create
 * call without its streams. Throws EngineError and EngineAwayError.
 */
export async function runOnce(engine: Engine, body: object, { name, input = '', signal }: OnceOptions): Promise<OnceResult> {
  if (name !== undefined) await remove(engine, name);
  const streams = { OpenStdin: true, StdinOnce: true, AttachStdin: true, AttachStdout: true, AttachStderr: true };
  const query = name === undefined ? {} : { name };
  const made = await engine.call('POST', '/containers/create', { query, body: { ...body, ...streams }, signal });
  const { Id } = created.parse(made);
  try {
    const all = { stream: '1', stdin: '1', stdout: '1', stderr: '1' };
    const stream = await engine.attach(`/containers/${Id}/attach`, { query: all, signal });
    try {
      await engine.call('POST', `/containers/${Id}/start`, { signal });
      stream.end(input);
      const outputs = await outputsOf(stream, { keepBytes: ANSWER_BYTES });
      const { StatusCode } = waited.parse(await engine.call('POST', `/containers/${Id}/wait`, { signal }));
      return { ...outputs, exitCode: StatusCode };
    } finally {
      stream.destroy();
    }
  } finally {
    await remove(engine, Id);
  }
}

async function remove(engine: Engine, container: string): Promise<void> {
  await orElse(404, null, () => engine.call('DELETE', `/containers/${container}`, { query: { force: '1', v: '1' } }));
}
