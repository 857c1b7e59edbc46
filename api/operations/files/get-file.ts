import type { IncomingHttpHeaders } from 'node:http';
import { z } from 'zod';
import { AppError } from '../../../domain/errors.ts';
import { mediaTypeOf } from '../../../domain/agents/media-type.ts';
import type { ByteRange, FileFacts } from '../../../runtime/driver-files.ts';
import { defineOperation } from '../../contract/define-operation.ts';
import type { Deps } from '../../deps.ts';
import { ifNoneMatch, rangeOf } from '../../http/conditions.ts';
import { FileAnswer } from '../../http/file-answer.ts';
import { explainingFiles, fileNotFound, fileParams } from './file.schema.ts';
import { findWorkspaceFile, readWorkspaceFile } from './workspace-file.ts';
import type { WorkspaceFile } from './workspace-file.ts';

export const getFile = defineOperation({
  method: 'GET',
  path: '/instances/:instanceId/agents/:agentId/files/:path',
  rest: true,
  operationId: 'files.get',
  summary: 'Get a file of an agent',
  description:
    'Answers the bytes of the file. `Range` with one range of bytes, `If-Range` and `If-None-Match` are honoured. When the agent changes the file before its last byte was sent, the connection is cut.',
  tag: 'files',
  auth: 'account',
  scope: 'read',
  audit: 'none',
  rateLimit: 'account',
  idempotent: false,
  params: fileParams,
  success: { status: 200, schema: z.unknown(), file: { mediaType: '*/*', hasParts: true } },
  errors: ['invalid_request', 'range_not_satisfiable'],

  async handle({ params, actor, em }) {
    return findWorkspaceFile(em, { accountId: actor.accountId, ...params });
  },

  async after(file, { deps, headers, signal }) {
    const range = await rangeToSend(deps, file, headers, signal);
    const read = await explainingFiles(() => readWorkspaceFile(deps, file, { range, unless: ifNoneMatch(headers), signal }));
    if (read.kind === 'none') throw fileNotFound();
    const { facts } = read;
    if (read.kind === 'unchanged') return new FileAnswer(304, headersOf(facts), null);
    if (read.kind !== 'content')
      throw new AppError('range_not_satisfiable', `The file has ${facts.size} bytes. Ask for some of these.`);
    const { from, bytes, content } = read;
    const length = { ...headersOf(facts), 'Content-Length': bytes };
    if (!range) return new FileAnswer(200, length, content);
    const part = { 'Content-Range': `bytes ${from}-${from + bytes - 1}/${facts.size}` };
    return new FileAnswer(206, { ...length, ...part }, content);
  },
});

function headersOf({ path, etag, modifiedAtMs }: FileFacts): Record<string, string> {
  const name = encodeURIComponent(path.split('/').at(-1) ?? '').replaceAll(
    /['()*]/g,
    (one) => `%${one.charCodeAt(0).toString(16)}`,
  );
  return {
    ETag: etag,
    'Content-Type': mediaTypeOf(path),
    'Last-Modified': new Date(modifiedAtMs).toUTCString(),
    'Accept-Ranges': 'bytes',
    'Content-Disposition': `attachment; filename*=UTF-8''${name}`,
    'X-Content-Type-Options': 'nosniff',
    'Cache-Control': 'private, no-cache',
  };
}

/** The whole file where If-Range names another state of it. */
async function rangeToSend(
  deps: Deps,
  file: WorkspaceFile,
  headers: IncomingHttpHeaders,
  signal: AbortSignal,
): Promise<ByteRange | null> {
  const range = rangeOf(headers);
  const wanted = headers['if-range'];
  if (range === null || wanted === undefined) return range;
  const read = await explainingFiles(() => readWorkspaceFile(deps, file, { range: null, unless: '*', signal }));
  return read.kind === 'unchanged' && read.facts.etag === wanted ? range : null;
}
