import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** The engine's socket as a worker has it that is killed right after its nth call: that one is carried out, and nobody hears. */
export interface CutSocket {
  path: string;
  /** Calls so far. */
  calls(): number;
  close(): Promise<void>;
}

/** After `calls` calls it answers none any more. Each call of ours has a connection of its own. */
export async function cutAfter(calls: number, engine: string): Promise<CutSocket> {
  const directory = await mkdtemp(join(tmpdir(), 'cut-socket-'));
  const path = join(directory, 'docker.sock');
  const open = new Set<Socket>();
  let count = 0;
  // Whoever has said all it has to say still hears the answer.
  const server = createServer({ allowHalfOpen: true }, (client) => {
    count += 1;
    const number = count;
    if (number > calls) return void client.destroy();
    const upstream = connect({ path: engine, allowHalfOpen: true });
    for (const socket of [client, upstream]) {
      open.add(socket);
      socket.on('error', () => {});
    }
    client.pipe(upstream);
    if (number < calls) upstream.pipe(client);
    else upstream.once('data', () => client.destroy());
  });
  server.listen(path);
  await once(server, 'listening');
  return {
    path,
    calls: () => count,
    async close() {
      for (const socket of open) socket.destroy();
      server.close();
      await rm(directory, { recursive: true });
    },
  };
}
