import { request as requestHttp } from 'node:http';
import type { Agent as HttpAgent, IncomingMessage } from 'node:http';
import { request as requestHttps } from 'node:https';
import type { Agent as HttpsAgent } from 'node:https';

interface PostOptions {
  agents: { http: HttpAgent; https: HttpsAgent };
  headers: Record<string, string>;
  body: string | Buffer;
  /** Ends the request, and its answer too. */
  signal: AbortSignal;
  maxHeaderBytes?: number;
  /** The whole request has been handed to the network. */
  onSent?: () => void;
  /** How long the answer may say nothing, once it has begun. A reader that is slow is no silence. */
  silenceMs?: number;
  /** The request was ended because its answer said nothing for so long. */
  onSilence?: (reason: Error) => void;
}

/**
 * Sends a POST and resolves with the answer, whose body is to be read or destroyed. Informational answers before it
 * (100 Continue, 103 Early Hints) are passed over, whether they were asked for or not, and no redirect is followed.
 * Rejects with the reason of the signal, or with what went wrong.
 */
export function post(
  url: URL,
  { agents, headers, body, signal, maxHeaderBytes, onSent, silenceMs, onSilence }: PostOptions,
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const isHttps = url.protocol === 'https:';
    const request = (isHttps ? requestHttps : requestHttp)(url, {
      method: 'POST',
      agent: isHttps ? agents.https : agents.http,
      headers: { ...headers, 'content-length': Buffer.byteLength(body) },
      signal,
      ...(maxHeaderBytes === undefined ? {} : { maxHeaderSize: maxHeaderBytes }),
    });
    request.once('response', (response) => {
      // The reader of the body gets the error. This listener keeps an error without a reader from ending the process.
      response.on('error', () => undefined);
      const endIfSilent = (): void => {
        if (response.readableLength > 0) return;
        const reason = new Error('The answer stopped');
        onSilence?.(reason);
        request.destroy(reason);
      };
      if (silenceMs !== undefined) request.setTimeout(silenceMs, endIfSilent);
      resolve(response);
    });
    if (onSent) request.once('finish', onSent);
    // 101: no other protocol was asked for.
    request.once('upgrade', (_response, socket) => socket.destroy());
    request.on('error', (error) => reject(signal.aborted ? signal.reason : error));
    request.once('close', () => reject(new Error('The connection was closed before an answer came')));
    request.end(body);
  });
}
