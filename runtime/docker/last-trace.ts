import { z } from 'zod';
import type { RuntimeExit } from '../driver.ts';
import { exitOfContainer } from './container-state.ts';
import type { Container } from './container-state.ts';
import { orElse } from './engine.ts';
import type { Engine } from './engine.ts';
import { STATE_DIR } from './in-container.ts';

const statHeader = z.object({ mtime: z.string().transform((text) => new Date(text)) });

/** Written at least every half minute by a living gateway. */
const TRACES = ['state/openclaw.sqlite', 'state/openclaw.sqlite-wal', 'logs/gateway.log'];

/** When and how a container ended; null while it runs. By its last trace where the engine was not there to see it. */
export async function lastExitOf(engine: Engine, container: Container): Promise<RuntimeExit | null> {
  const exit = exitOfContainer(container);
  if (exit !== 'unknown') return exit;
  const at = await lastTraceOf(engine, container.Id, container.State.StartedAt ?? new Date(0));
  return { at, code: null, signal: null };
}

/**
 * When a container that has ended last left a trace on its volume. It counts as the time of a death that no worker saw:
 * never too late, and about half a minute early at most.
 */
async function lastTraceOf(engine: Engine, container: string, startedAt: Date): Promise<Date> {
  const times = await Promise.all(TRACES.map((file) => modifiedAt(engine, container, `${STATE_DIR}/${file}`)));
  return new Date(Math.max(startedAt.getTime(), ...times));
}

async function modifiedAt(engine: Engine, container: string, path: string): Promise<number> {
  const response = await orElse(404, null, () => engine.stream('HEAD', `/containers/${container}/archive`, { query: { path } }));
  if (response === null) return 0;
  response.resume();
  const header = response.headers['x-docker-container-path-stat'];
  const text = Buffer.from(String(header), 'base64').toString();
  return statHeader.safeParse(JSON.parse(text)).data?.mtime.getTime() ?? 0;
}
