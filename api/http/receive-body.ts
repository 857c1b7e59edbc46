import type { IncomingMessage } from 'node:http';
import type { Visit } from './admission.ts';
import type { Operation } from '../contract/define-operation.ts';
import { announcedBytes, DEFAULT_LIMIT_BYTES, readBody, requireJsonType, requirePlain } from './request-body.ts';
import { Upload } from './upload.ts';

/** What of an upload is in memory at a time, on both of its sides. */
const UPLOAD_ROOM_BYTES = 1024 * 1024;

interface Receiving {
  request: IncomingMessage;
  operation: Operation;
  visit: Pick<Visit, 'takeRoom' | 'pause'>;
  /** Throws `not_found` when the path names nothing. */
  requireResource(): Promise<void>;
}

/**
 * Reads the body of a call that has one, when there is room for it. A large body is read only for a resource that is
 * there. Throws `payload_too_large`, `unsupported_media_type`, `not_found` and `unavailable`.
 */
export async function receiveBody(receiving: Receiving): Promise<Buffer | undefined> {
  const { request, operation, visit, requireResource } = receiving;
  if (operation.method === 'GET' || operation.upload) return undefined;
  const limitBytes = operation.bodyLimitBytes ?? DEFAULT_LIMIT_BYTES;
  const bytes = announcedBytes(request, limitBytes);
  const isLarge = bytes > DEFAULT_LIMIT_BYTES;
  if (isLarge) {
    requireJsonType(request.headers);
    await requireResource();
  }
  const room = visit.takeRoom(isLarge ? 'large' : 'small', bytes);
  const body = await visit.pause(() => readBody(request, limitBytes));
  // One that did not say its length may be smaller than the limit.
  room.shrinkTo(body.length);
  return body;
}

/** The same of a body of bytes, which is read later. A body of JSON: undefined. */
export async function receiveUpload({ request, operation, visit, requireResource }: Receiving): Promise<Upload | undefined> {
  if (!operation.upload) return undefined;
  const limitBytes = operation.bodyLimitBytes ?? DEFAULT_LIMIT_BYTES;
  announcedBytes(request, limitBytes);
  requirePlain(request.headers);
  await requireResource();
  visit.takeRoom('small', UPLOAD_ROOM_BYTES);
  return new Upload(request, limitBytes);
}
