import type { ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import type { Readable } from 'node:stream';

/** An answer of bytes with the headers of its file instead of one JSON document. `after` returns it. */
export class FileAnswer {
  readonly status: 200 | 206 | 304;
  readonly headers: Record<string, string | number>;
  /** Null: there is no body. */
  readonly content: Readable | null;

  constructor(status: 200 | 206 | 304, headers: Record<string, string | number>, content: Readable | null) {
    this.status = status;
    this.headers = headers;
    this.content = content;
  }
}

/** A client that takes nothing for so long has gone. */
const STALL_MS = 30_000;

/**
 * Sends the bytes at the pace of the client. When they break off the connection is cut, so that nobody takes what has come for
 * the whole. Resolves in any case.
 */
export async function sendFile(
  response: ServerResponse,
  { status, headers, content }: FileAnswer,
  isHead: boolean,
): Promise<void> {
  response.writeHead(status, headers);
  if (content === null || isHead) {
    content?.destroy();
    response.end();
    return;
  }
  response.setTimeout(STALL_MS, () => response.destroy());
  await pipeline(content, response).catch(() => response.destroy());
}
