import type { Duplex } from 'node:stream';
import { z } from 'zod';
import { removeContainer } from './container-end.ts';
import type { Engine } from './engine.ts';
import { framesIn, STDOUT } from './output-frames.ts';

export interface OpenContainer {
  /** What the container reads. */
  input: Duplex;
  /** What it prints, as it comes. */
  output: AsyncGenerator<Buffer, void>;
  /** Ends and removes it. */
  close(): Promise<void>;
}

const created = z.looseObject({ Id: z.string() });

/**
 * Starts a container that is spoken to while it runs. `body` is that of the engine's create call without its streams. When
 * the signal is aborted its streams end. Throws EngineError and EngineAwayError.
 */
export async function openContainer(engine: Engine, body: object, signal: AbortSignal): Promise<OpenContainer> {
  const streams = { OpenStdin: true, StdinOnce: true, AttachStdin: true, AttachStdout: true, AttachStderr: true };
  const { Id } = created.parse(await engine.call('POST', '/containers/create', { body: { ...body, ...streams }, signal }));
  let stream: Duplex | null = null;
  const close = async (): Promise<void> => {
    stream?.destroy();
    await removeContainer(engine, Id);
  };
  try {
    const query = { stream: '1', stdin: '1', stdout: '1', stderr: '1' };
    const attached = await engine.attach(`/containers/${Id}/attach`, { query, signal });
    stream = attached;
    // Its reader hears of it.
    attached.on('error', () => undefined);
    signal.addEventListener('abort', () => attached.destroy(), { once: true });
    await engine.call('POST', `/containers/${Id}/start`, { signal });
    return { input: attached, output: printedIn(attached), close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function* printedIn(stream: Duplex): AsyncGenerator<Buffer, void> {
  for await (const { kind, bytes } of framesIn(stream)) if (kind === STDOUT) yield bytes;
}
