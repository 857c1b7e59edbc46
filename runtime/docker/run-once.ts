import { z } from 'zod';
import { removeContainer } from './container-end.ts';
import { orElse } from './engine.ts';
import type { Engine } from './engine.ts';
import { outputsOf } from './output-frames.ts';

export interface OnceResult {
  /** The end of what it printed. */
  stdout: string;
  stderr: string;
  exitCode: number;
}

/** Longer than a growing file system takes. */
const OUTLAST_MS = 300_000;
const ANSWER_BYTES = 64 * 1024;
const created = z.looseObject({ Id: z.string() });
const waited = z.looseObject({ StatusCode: z.number().int() });

export interface OnceOptions {
  /** One that bears it, left by a killed worker, is waited for first: it is not cut off in its work, and none runs beside it. */
  name?: string;
  /** What the container reads. */
  input?: string;
  signal: AbortSignal;
}

/**
 * Runs a container to its end and removes it, with the volumes that it alone had. `body` is that of the engine's create
 * call without its streams. The signal keeps it from starting, and does not end it while it runs or is being started: it
 * may be in the middle of a file system. Throws EngineError and EngineAwayError.
 */
export async function runOnce(engine: Engine, body: object, { name, input = '', signal }: OnceOptions): Promise<OnceResult> {
  if (name !== undefined) await outlast(engine, name, signal);
  const streams = { OpenStdin: true, StdinOnce: true, AttachStdin: true, AttachStdout: true, AttachStderr: true };
  const query = name === undefined ? {} : { name };
  const made = await engine.call('POST', '/containers/create', { query, body: { ...body, ...streams }, signal });
  const { Id } = created.parse(made);
  try {
    const all = { stream: '1', stdin: '1', stdout: '1', stderr: '1' };
    // From here on without the signal, which would cut it off later on, too.
    const stream = await engine.attach(`/containers/${Id}/attach`, { query: all });
    try {
      signal.throwIfAborted();
      await engine.call('POST', `/containers/${Id}/start`);
      stream.end(input);
      const outputs = await outputsOf(stream, { keepBytes: ANSWER_BYTES });
      const { StatusCode } = waited.parse(await engine.call('POST', `/containers/${Id}/wait`));
      return { ...outputs, exitCode: StatusCode };
    } finally {
      stream.destroy();
    }
  } finally {
    // Also one whose start was not answered, or whose output was lost, may be at work.
    await outlast(engine, Id);
  }
}

/** Waits for the end of a container, which is at once for one that was never started, and removes it. */
async function outlast(engine: Engine, name: string, signal?: AbortSignal): Promise<void> {
  const options = { timeoutMs: OUTLAST_MS, ...(signal && { signal }) };
  await orElse(404, null, () => engine.call('POST', `/containers/${name}/wait`, options));
  await removeContainer(engine, name);
}
