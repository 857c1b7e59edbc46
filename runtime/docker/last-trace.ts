import { z } from 'zod';
import { orElse } from './engine.ts';
import type { Engine } from './engine.ts';
import { STATE_DIR } from './in-container.ts';

const statHeader = z.object({ mtime: z.string().transform((text) => new Date(text)) });

/** Written at least every half minute by a living gateway. */
const TRACES = ['state/openclaw.sqlite', 'state/openclaw.sqlite-wal', 'logs/gateway.log'];

/**
 * When a container that has ended last left a trace on its volume. It counts as the time of a death that no worker saw:
 * never too late, and about half a minute early at most.
 */
export async function lastTraceOf(engine: Engine, container: string, startedAt: Date): Promise<Date> {
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
