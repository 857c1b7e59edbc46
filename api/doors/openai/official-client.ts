import type { IncomingHttpHeaders } from 'node:http';
import { RETRY_HEADER } from './door.ts';

/** Clients send a whole conversation with each message, its images included; a chat page may have grown it for months. */
export const BODY_LIMIT_BYTES = 16 * 1024 * 1024;

/** As long as OpenAI's clients wait for an answer. */
export const TIMEOUT_MS = 600_000;

/** Whether an official client sends this again because it got no answer. */
export function isRetry(headers: IncomingHttpHeaders): boolean {
  return Number(headers[RETRY_HEADER.toLowerCase()]) > 0;
}
