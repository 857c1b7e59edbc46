import type { RunningPostgres } from './postgres.ts';
import { startPostgres } from './postgres.ts';
import { pause, restartDelay } from '../service.ts';
import type { ServiceDeps } from '../service.ts';

export interface PostgresService {
  /** Starts it and answers its URL, which stays the same as long as it is supervised. */
  start(): Promise<string>;
  /** Ends it for good. */
  stop(): Promise<void>;
}

/** The PostgreSQL of one machine, which is restarted on the same port when it dies. */
export function createPostgresService(dataDir: string, { say, now }: ServiceDeps): PostgresService {
  const over = new AbortController();
  let server: RunningPostgres | null = null;
  let supervision: Promise<void> = Promise.resolve();

  async function supervise(first: RunningPostgres): Promise<void> {
    let delayMs: number | null = null;
    let startedAt = now();
    for (let running: RunningPostgres | null = first; ;) {
      await running?.exited;
      if (over.signal.aborted) return;
      delayMs = restartDelay(delayMs, now() - startedAt);
      say(`PostgreSQL has ended; it is started again in ${delayMs / 1000} s.`);
      if (!(await pause(delayMs, over.signal))) return;
      startedAt = now();
      running = await startPostgres({ dataDir, port: first.port, durable: true, log: say }).catch((error: unknown) => {
        say(Error.isError(error) ? error.message : String(error));
        return null;
      });
      server = running;
      if (running) say('PostgreSQL is back.');
    }
  }

  return {
    async start() {
      server = await startPostgres({ dataDir, durable: true, log: say });
      supervision = supervise(server);
      return server.url;
    },
    async stop() {
      over.abort();
      await server?.stop();
      await supervision;
      // It may have been on its way back when the stop was asked for.
      await server?.stop();
    },
  };
}
