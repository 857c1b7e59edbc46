import type { IncomingMessage, ServerResponse } from 'node:http';
import { createCallSlots, NoSlotError } from '../lib/async/call-slots.ts';
import { startHttpServer } from '../lib/net/http-server.ts';
import type { Log } from '../lib/log.ts';
import type { LogLine, RuntimeDriver } from '../runtime/driver.ts';
import { isRuntimeId } from '../runtime/host/runtime-layout.ts';
import { isLogTicket } from '../runtime/log-ticket.ts';
import type { MasterKey } from '../runtime/engine.ts';

export interface LogServer {
  /** Its base URL. */
  address: string;
  stop(): Promise<void>;
}

interface Deps {
  driver: Pick<RuntimeDriver, 'logs'>;
  masterKeys: readonly MasterKey[];
  log: Log;
}

interface Wanted {
  runtimeId: string;
  limit: number;
}

/** Never another one: a log is for this machine alone. */
const HOST = '127.0.0.1';
/** A read that the engine does not answer keeps its place until the engine's call has ended. */
const READS = { atOnce: 4, waiting: 16, patienceMs: 5_000 };
const RETRY_AFTER_SECONDS = '2';
const MAX_LINES = 1_000;
const GRACE_MS = 5_000;
const PATH = /^\/runtimes\/([^/?]+)\/logs\?limit=([1-9]\d{0,3})$/;

/**
 * Serves the logs of instances to API processes of this machine, which hold nothing that runs instances: `GET
 * /runtimes/<runtimeId>/logs?limit=<n>` for the holder of a ticket (see logTicket), on a free port of the loopback
 * address. There is nothing else to ask for.
 */
export async function startLogServer({ driver, masterKeys, log }: Deps): Promise<LogServer> {
  const reads = createCallSlots(READS);
  const server = await startHttpServer(
    (request, response) => {
      answer(request, response).catch((err: unknown) => {
        log.warn({ err }, 'the log of an instance could not be read');
        refuse(response, 503);
      });
    },
    { host: HOST, port: 0 },
  );
  const address = `http://${HOST}:${server.port}`;

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const wanted = wantedBy(request);
    if (!wanted) return refuse(response, 404);
    const ticket = /^Bearer (\S+)$/.exec(request.headers.authorization ?? '')?.[1] ?? '';
    if (!isLogTicket(masterKeys, ticket, { address, runtimeId: wanted.runtimeId })) return refuse(response, 401);
    const lines = await read(wanted);
    if (!lines) return refuse(response, 503);
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ lines }));
  }

  /** Null: too many reads are under way. */
  async function read({ runtimeId, limit }: Wanted): Promise<LogLine[] | null> {
    try {
      return await reads.run('all', () => driver.logs(runtimeId, limit));
    } catch (error) {
      if (error instanceof NoSlotError) return null;
      throw error;
    }
  }

  return { address, stop: () => server.drain(GRACE_MS) };
}

/** Null: this is not what is served here. */
function wantedBy({ method, url = '' }: IncomingMessage): Wanted | null {
  const [, runtimeId, limit] = (method === 'GET' && PATH.exec(url)) || [];
  if (runtimeId === undefined || !isRuntimeId(runtimeId) || Number(limit) > MAX_LINES) return null;
  return { runtimeId, limit: Number(limit) };
}

function refuse(response: ServerResponse, status: 401 | 404 | 503): void {
  response.writeHead(status, status === 503 ? { 'retry-after': RETRY_AFTER_SECONDS } : {}).end();
}
