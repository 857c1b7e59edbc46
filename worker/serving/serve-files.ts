import type { IncomingMessage, ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import { z } from 'zod';
import { agentFilePathProblem } from '../../domain/agents/agent-file-path.ts';
import { createCallSlots, NoSlotError } from '../../lib/async/call-slots.ts';
import { jsonOrNull } from '../../lib/text/json-or-null.ts';
import type { RuntimeFiles, WorkspacePlace } from '../../runtime/driver-files.ts';
import {
  failureOf,
  MAX_LISTED,
  OPTIONS_HEADER,
  READ_HEADER,
  readOptions,
  removeOptions,
  writeOptions,
} from '../../runtime/files-protocol.ts';
import { isRuntimeId } from '../../runtime/host/runtime-layout.ts';
import type { Serve } from './instance-server.ts';
import { refuse } from '../refuse.ts';

/** Calls of all runtimes, and of one: each may be a container of its own. */
const ALL = { atOnce: 16, waiting: 64, patienceMs: 10_000 };
const EACH = { atOnce: 4, waiting: 16, patienceMs: 10_000 };
/** One after the other, so that a file is only replaced in the state that its writer has seen. */
const WRITES = { atOnce: 1, waiting: 16, patienceMs: 60_000 };
/** Of one call. */
const LIMIT_MS = 300_000;
/** A reader that takes nothing for so long has gone. */
const STALL_MS = 30_000;

const PATH = /^\/runtimes\/([^/?]+)\/agents\/([a-z0-9_-]{1,64})\/files(?:\/([^?]+)|\?(.+))$/;
const METHODS = new Set(['GET', 'PUT', 'DELETE']);
const listOptions = z.object({ prefix: z.string(), after: z.string(), limit: z.coerce.number().int().min(1).max(MAX_LISTED) });

type Work = (call: { request: IncomingMessage; response: ServerResponse; signal: AbortSignal }) => Promise<void>;

/** Lists, sends, takes and removes files of agents, as runtime/files-protocol.ts says. */
export function createServeFiles(files: RuntimeFiles): Serve {
  const [all, each, writes] = [createCallSlots(ALL), createCallSlots(EACH), createCallSlots(WRITES)];

  async function answer(place: WorkspacePlace, work: Work, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const gone = new AbortController();
    response.once('close', () => gone.abort(new Error('the reader has gone')));
    response.setTimeout(STALL_MS, () => response.destroy());
    const signal = AbortSignal.any([gone.signal, AbortSignal.timeout(LIMIT_MS)]);
    const { runtimeId } = place;
    const inTurn =
      request.method === 'PUT' ? (run: () => Promise<void>) => writes.run(runtimeId, run) : (run: () => Promise<void>) => run();
    try {
      await inTurn(() => each.run(runtimeId, () => all.run('all', () => work({ request, response, signal }))));
    } catch (error) {
      if (error instanceof NoSlotError) return refuse(response, 503);
      const failure = failureOf(error);
      if (!failure || response.headersSent) throw error;
      say(response, 409, failure);
      request.resume();
    }
  }

  return (request) => {
    const { method = '', url = '' } = request;
    const [, runtimeId = '', gatewayAgentId = '', rawPath, query] = (METHODS.has(method) && PATH.exec(url)) || [];
    if (!isRuntimeId(runtimeId)) return null;
    const place = { runtimeId, gatewayAgentId };
    const work = rawPath === undefined ? listing(files, place, method, query ?? '') : oneFile(files, place, request, rawPath);
    if (!work) return null;
    return {
      ticket: { kind: 'files', subject: `${method} ${url}` },
      answer: (response) => answer(place, work, request, response),
    };
  };
}

function listing(files: RuntimeFiles, place: WorkspacePlace, method: string, query: string): Work | null {
  const options = listOptions.safeParse(Object.fromEntries(new URLSearchParams(query))).data;
  if (method !== 'GET' || !options) return null;
  return async ({ response, signal }) => say(response, 200, await files.list(place, { ...options, signal }));
}

/** Null: this is no file. */
function oneFile(files: RuntimeFiles, place: WorkspacePlace, { method, headers }: IncomingMessage, rawPath: string): Work | null {
  const path = decoded(rawPath);
  if (path === null || agentFilePathProblem(path) !== null) return null;
  const given = jsonOrNull(z.string().catch('').parse(headers[OPTIONS_HEADER]));
  if (method === 'GET') {
    const options = readOptions.safeParse(given).data;
    return options ? ({ response, signal }) => send(files, place, path, { ...options, signal }, response) : null;
  }
  if (method === 'DELETE') {
    const options = removeOptions.safeParse(given).data;
    if (!options) return null;
    return async ({ response, signal }) =>
      say(response, 200, { removed: await files.remove(place, path, { ...options, signal }) });
  }
  const options = writeOptions.safeParse(given).data;
  if (!options) return null;
  return async ({ request, response, signal }) => {
    if (headers.expect !== undefined) response.writeContinue();
    const content: AsyncIterable<Buffer> = request.iterator({ destroyOnReturn: false });
    say(response, 200, await files.write(place, path, content, { ...options, signal }));
  };
}

async function send(
  files: RuntimeFiles,
  place: WorkspacePlace,
  path: string,
  options: Parameters<RuntimeFiles['read']>[2],
  response: ServerResponse,
): Promise<void> {
  const read = await files.read(place, path, options);
  const { content, ...head } = read.kind === 'content' ? read : { ...read, content: null };
  response.writeHead(200, {
    // A header is of ASCII.
    [READ_HEADER]: encodeURIComponent(JSON.stringify(head)),
    'content-length': head.kind === 'content' ? head.bytes : 0,
  });
  if (content) await pipeline(content, response, { signal: options.signal });
  else response.end();
}

function say(response: ServerResponse, status: 200 | 409, value: object): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));
}

function decoded(path: string): string | null {
  try {
    return decodeURIComponent(path);
  } catch {
    return null;
  }
}
