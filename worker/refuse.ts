import type { ServerResponse } from 'node:http';

const RETRY_AFTER_SECONDS = '2';

/** Answers a status without a body. */
export function refuse(response: ServerResponse, status: 401 | 404 | 503): void {
  response.writeHead(status, status === 503 ? { 'retry-after': RETRY_AFTER_SECONDS } : {}).end();
}
