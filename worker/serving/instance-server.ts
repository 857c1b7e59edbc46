import type { IncomingMessage, ServerResponse } from 'node:http';
import { isIPv6 } from 'node:net';
import { startHttpServer } from '../../lib/net/http-server.ts';
import type { Log } from '../../lib/log.ts';
import type { RuntimeDriver } from '../../runtime/driver.ts';
import { isWorkerTicket } from '../../runtime/worker-ticket.ts';
import type { WorkerTicket } from '../../runtime/worker-ticket.ts';
import type { MasterKey } from '../../runtime/engine.ts';
import { refuse } from '../refuse.ts';
import { createServeFiles } from './serve-files.ts';
import { createServeState } from './serve-state.ts';
import { createServeLog } from './serve-log.ts';

export interface InstanceServer {
  /** Its base URL. */
  address: string;
  stop(): Promise<void>;
}

interface Deps {
  driver: Pick<RuntimeDriver, 'logs' | 'files' | 'readState' | 'inspect'>;
  masterKeys: readonly MasterKey[];
  log: Log;
  /** An address of this machine, by which API processes reach it. Undefined: its loopback address. */
  host?: string;
  /** Undefined: a free one. */
  port?: number | undefined;
}

/** One kind of request: null where it is not of this kind, else its ticket and what answers it. */
export type Serve = (request: IncomingMessage) => {
  ticket: Omit<WorkerTicket, 'address'>;
  answer(response: ServerResponse): Promise<void>;
} | null;

const LOOPBACK = '127.0.0.1';
const GRACE_MS = 5_000;

/**
 * Serves logs of instances and files of their agents to API processes, which hold nothing that runs instances, and the state of those that
 * move to workers of other nodes, for the holders of tickets (see workerTicket). There is nothing else to ask for. Rejects when it cannot listen at that address.
 */
export async function startInstanceServer(deps: Deps): Promise<InstanceServer> {
  const { driver, masterKeys, log, host = LOOPBACK, port = 0 } = deps;
  const kinds: Serve[] = [createServeLog(driver), createServeFiles(driver.files), createServeState(driver)];
  const server = await startHttpServer(
    (request, response) => {
      answer(request, response).catch((err: unknown) => {
        log.warn({ err }, 'a log or a file of an instance could not be served');
        if (response.headersSent) response.destroy();
        else refuse(response, 503);
      });
    },
    { host, port, continues: true },
  );
  const address = `http://${isIPv6(host) ? `[${host}]` : host}:${server.port}`;

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    for (const serve of kinds) {
      const served = serve(request);
      if (!served) continue;
      const ticket = /^Bearer (\S+)$/.exec(request.headers.authorization ?? '')?.[1] ?? '';
      if (!isWorkerTicket(masterKeys, ticket, { ...served.ticket, address })) return refuse(response, 401);
      return served.answer(response);
    }
    refuse(response, 404);
  }

  return { address, stop: () => server.drain(GRACE_MS) };
}
