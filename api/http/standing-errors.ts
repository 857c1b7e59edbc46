import type { ErrorCode } from '../../domain/errors.ts';
import type { Operation } from '../contract/define-operation.ts';

/** The codes that an operation may answer without declaring them: what the mounting itself can answer. */
export function standingErrors(operation: Operation): ErrorCode[] {
  const codes: ErrorCode[] = ['internal_error', 'unavailable'];
  if (operation.params || operation.auth === 'operator') codes.push('not_found');
  if (operation.auth !== 'public') codes.push('unauthorized');
  if (operation.auth === 'account') codes.push('forbidden');
  if (operation.rateLimit !== 'none') codes.push('rate_limited');
  if (operation.method !== 'GET') codes.push('payload_too_large');
  if (operation.body || operation.upload) codes.push('unsupported_media_type');
  if (operation.body || operation.query || operation.idempotent) codes.push('invalid_request');
  if (operation.idempotent) codes.push('conflict');
  return codes;
}

/** Every code that the operation may answer. */
export function declaredErrors(operation: Operation): Set<ErrorCode> {
  return new Set([...standingErrors(operation), ...operation.errors]);
}
