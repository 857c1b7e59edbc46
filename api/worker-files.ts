import type { IncomingMessage } from 'node:http';
import type { MikroORM } from '@mikro-orm/postgresql';
import { z } from 'zod';
import type { Log } from '../lib/log.ts';
import type { FileRead, RuntimeFiles, WorkspacePlace } from '../runtime/driver-files.ts';
import {
  errorOf,
  failure,
  fileFacts,
  filesPage,
  OPTIONS_HEADER,
  READ_HEADER,
  readHead,
  removal,
  targetOf,
} from '../runtime/files-protocol.ts';
import type { MasterKey } from '../runtime/engine.ts';
import { callWorker, LostCallError } from '../runtime/worker-call.ts';
import { workerTicket } from '../runtime/worker-ticket.ts';
import { askWorkers, noWorker } from './ask-workers.ts';

interface Deps {
  orm: MikroORM;
  masterKeys: readonly MasterKey[];
  log: Log;
}

interface Asked {
  method: 'GET' | 'PUT' | 'DELETE';
  target: string;
  options: object;
  content?: AsyncIterable<Buffer>;
  signal: AbortSignal;
}

const WHAT = 'The files of this agent';
/** Of a page of the longest paths. */
const MAX_ANSWER_BYTES = 4 * 1024 ** 2;
/** Of one call: as long as a worker gives it. */
const LIMIT_MS = 300_000;

/**
 * The files of agents as a worker has them, because this process holds nothing that runs instances. Throws AppError
 * `unavailable` when no worker answers. Not for use in a transaction.
 */
export function createWorkerFiles({ orm, masterKeys, log }: Deps): RuntimeFiles {
  async function ask(
    { runtimeId }: WorkspacePlace,
    { method, target, options, content, signal }: Asked,
  ): Promise<IncomingMessage> {
    const limited = AbortSignal.any([signal, AbortSignal.timeout(LIMIT_MS)]);
    const response = await askWorkers({ em: orm.em.fork(), log, runtimeId, what: WHAT }, (address) => {
      const ticket = workerTicket(masterKeys, { kind: 'files', address, subject: `${method} ${target}` });
      const headers = { authorization: `Bearer ${ticket}`, [OPTIONS_HEADER]: JSON.stringify(options) };
      return callWorker({ address, method, target, headers, content: content ?? null, signal: limited });
    }).catch((cause: unknown) => {
      throw cause instanceof LostCallError ? noWorker(WHAT, cause) : cause;
    });
    if (response.statusCode === 409) throw errorOf(failure.parse(await jsonOf(response)));
    return response;
  }

  return {
    async list(place, { signal, prefix, after, limit }) {
      const query = new URLSearchParams({ prefix, after, limit: String(limit) });
      const target = `${targetOf(place)}?${query.toString()}`;
      return filesPage.parse(await jsonOf(await ask(place, { method: 'GET', target, options: {}, signal })));
    },
    async read(place, path, { signal, ...options }): Promise<FileRead> {
      const response = await ask(place, { method: 'GET', target: targetOf(place, path), options, signal });
      const head = readHead.parse(JSON.parse(decodeURIComponent(z.string().parse(response.headers[READ_HEADER]))));
      if (head.kind === 'content') return { ...head, content: response };
      response.resume();
      return head;
    },
    async write(place, path, content, { signal, ...options }) {
      const response = await ask(place, { method: 'PUT', target: targetOf(place, path), options, content, signal });
      return fileFacts.parse(await jsonOf(response));
    },
    async remove(place, path, { signal, ...options }) {
      const response = await ask(place, { method: 'DELETE', target: targetOf(place, path), options, signal });
      return removal.parse(await jsonOf(response)).removed;
    },
  };
}

async function jsonOf(response: IncomingMessage): Promise<unknown> {
  const kept: Buffer[] = [];
  let size = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_ANSWER_BYTES) throw new Error('a worker answered too much about files');
    kept.push(chunk);
  }
  return JSON.parse(Buffer.concat(kept).toString('utf8'));
}
