import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import getRawBody from 'raw-body';
import { AppError } from '../domain/errors.ts';
import { findUnstorable } from './unstorable-text.ts';

const DEFAULT_LIMIT_BYTES = 1024 * 1024;

/** The client went away while it was sending: there is nobody to answer. */
export class ClientGoneError extends Error {}

function kindOf(error: unknown): string {
  return typeof error === 'object' && error !== null && 'type' in error ? String(error.type) : '';
}

/** Reads the whole body. Throws `payload_too_large` over the limit, ClientGoneError when it never arrives in full. */
export async function readBody(request: IncomingMessage, limitBytes = DEFAULT_LIMIT_BYTES): Promise<Buffer> {
  const length = request.headers['content-length'];
  if (length === undefined && request.headers['transfer-encoding'] === undefined) return Buffer.alloc(0);
  try {
    return await getRawBody(request, { length: length ?? null, limit: limitBytes });
  } catch (error) {
    const kind = kindOf(error);
    if (kind === 'entity.too.large') throw new AppError('payload_too_large', `The body is over ${limitBytes} bytes. Send less.`);
    if (kind === 'request.aborted') throw new ClientGoneError('the client went away');
    throw new AppError('invalid_request', 'The body could not be read. Check its Content-Length and send it again.');
  }
}

function requireJsonType(headers: IncomingHttpHeaders): void {
  const [type = '', ...parameters] = (headers['content-type'] ?? 'application/json').toLowerCase().split(';');
  const charset = parameters.map((parameter) => parameter.trim()).find((parameter) => parameter.startsWith('charset='));
  const isUtf8 = charset === undefined || /^charset="?utf-?8"?$/.test(charset);
  if (type.trim() !== 'application/json' || !isUtf8)
    throw new AppError('unsupported_media_type', 'Send the body as JSON in UTF-8, with Content-Type: application/json.');
  if (!['identity', ''].includes((headers['content-encoding'] ?? '').trim().toLowerCase()))
    throw new AppError('unsupported_media_type', 'Send the body without Content-Encoding.');
}

/** How JSON in UTF-8 can write a character that no text may hold: NUL, or half of a surrogate pair. */
const SUSPICIOUS = /\\u(?:0000|d[89a-f])/i;

/** The value of a JSON body; undefined for an empty one. Throws `unsupported_media_type` or `invalid_request`. */
export function parseJsonBody(bytes: Buffer, headers: IncomingHttpHeaders): unknown {
  if (bytes.length === 0) return undefined;
  requireJsonType(headers);
  let text: string;
  let value: unknown;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    value = JSON.parse(text);
  } catch {
    throw new AppError('invalid_request', 'The body is not valid JSON. Check its quotes, commas and encoding (UTF-8).');
  }
  const problem = SUSPICIOUS.test(text) ? findUnstorable(value) : null;
  if (problem) throw new AppError('invalid_request', `${problem.path}: ${problem.message}`, { details: [problem] });
  return value;
}
