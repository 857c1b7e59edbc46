import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import getRawBody from 'raw-body';
import { AppError } from '../../domain/errors.ts';
import { inSlices } from '../../lib/async/in-slices.ts';
import { jsonLimitParts } from '../../lib/text/json-limits.ts';
import { invalidRequest } from '../contract/invalid-request.ts';
import { findUnstorable } from './unstorable-text.ts';

/** Of operations that set no other limit. */
export const DEFAULT_LIMIT_BYTES = 1024 * 1024;
/** Far more than any operation takes, and little to parse. */
const JSON_LIMITS = { depth: 64, values: 20_000 };

/** The client closed the connection while it was sending, so that no answer can reach it. */
export class ClientGoneError extends Error {}

function kindOf(error: unknown): string {
  return typeof error === 'object' && error !== null && 'type' in error ? String(error.type) : '';
}

/** How many bytes the body may have, as far as its head says: the limit when it does not. Throws `payload_too_large`. */
export function announcedBytes({ headers }: IncomingMessage, limitBytes: number): number {
  const length = headers['content-length'];
  if (length === undefined) return headers['transfer-encoding'] === undefined ? 0 : limitBytes;
  if (Number(length) > limitBytes) throw tooLarge(limitBytes);
  return Number(length);
}

/** Reads the whole body. Throws `payload_too_large` over the limit, ClientGoneError when it never arrives in full. */
export async function readBody(request: IncomingMessage, limitBytes: number): Promise<Buffer> {
  const length = request.headers['content-length'];
  if (length === undefined && request.headers['transfer-encoding'] === undefined) return Buffer.alloc(0);
  try {
    return await getRawBody(request, { length: length ?? null, limit: limitBytes });
  } catch (error) {
    const kind = kindOf(error);
    if (kind === 'entity.too.large') throw tooLarge(limitBytes);
    if (kind === 'request.aborted') throw new ClientGoneError('the client went away');
    throw new AppError(
      'invalid_request',
      'The request body could not be read. Check its Content-Length and send the request again.',
    );
  }
}

/** `payload_too_large`, naming the limit. */
export function tooLarge(limitBytes: number): AppError {
  return new AppError('payload_too_large', `The request body is larger than ${limitBytes} bytes. Send a smaller body.`);
}

/** Throws `unsupported_media_type` for a body that is not plain JSON in UTF-8. */
export function requireJsonType(headers: IncomingHttpHeaders): void {
  const [type = '', ...parameters] = (headers['content-type'] ?? 'application/json').toLowerCase().split(';');
  const charset = parameters.map((parameter) => parameter.trim()).find((parameter) => parameter.startsWith('charset='));
  const isUtf8 = charset === undefined || /^charset="?utf-?8"?$/.test(charset);
  if (type.trim() !== 'application/json' || !isUtf8)
    throw new AppError('unsupported_media_type', 'Send the body as JSON in UTF-8, with Content-Type: application/json.');
  requirePlain(headers);
}

/** Throws `unsupported_media_type` for a body that is encoded on its way. */
export function requirePlain(headers: IncomingHttpHeaders): void {
  if (!['identity', ''].includes((headers['content-encoding'] ?? '').trim().toLowerCase()))
    throw new AppError('unsupported_media_type', 'Send the body without Content-Encoding.');
}

/** How JSON in UTF-8 can write a character that no text may hold: NUL, or half of a surrogate pair. */
const SUSPICIOUS = /\\u(?:0000|d[89a-f])/i;

/**
 * The value of a JSON body; undefined for an empty one. A large one is read in parts, and other calls are served in between.
 * Throws `unsupported_media_type` or `invalid_request`.
 */
export async function parseJsonBody(bytes: Buffer, headers: IncomingHttpHeaders): Promise<unknown> {
  if (bytes.length === 0) return undefined;
  requireJsonType(headers);
  return inSlices(parseParts(bytes));
}

function* parseParts(bytes: Buffer): Generator<undefined, unknown, undefined> {
  const excess = yield* jsonLimitParts(bytes, JSON_LIMITS);
  if (excess !== null) throw invalidRequest([{ path: 'body', message: excess }]);
  yield;
  let text: string;
  let value: unknown;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    yield;
    value = JSON.parse(text);
  } catch {
    throw new AppError('invalid_request', 'The request body is not valid JSON. Check its quotes, commas and encoding (UTF-8).');
  }
  yield;
  const problem = SUSPICIOUS.test(text) ? findUnstorable(value) : null;
  if (problem) throw invalidRequest([problem]);
  yield;
  return value;
}
