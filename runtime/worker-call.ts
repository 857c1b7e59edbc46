import { request } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { pipeline } from 'node:stream/promises';

interface WorkerCall {
  address: string;
  method: 'GET' | 'PUT' | 'DELETE';
  target: string;
  headers: Record<string, string>;
  content: AsyncIterable<Buffer> | null;
  signal: AbortSignal;
}

/** A worker did not take the request: another one may be asked instead. */
export class NotServedError extends Error {}

/** The worker was lost when a part of the content was sent already. */
export class LostCallError extends Error {}

/**
 * One request of a worker whose answer is read as it comes, and whose content is sent as it comes. Throws NotServedError when the
 * worker has not taken it and none of the content was sent, else LostCallError, and what the content throws.
 */
export function callWorker({ address, method, target, headers, content, signal }: WorkerCall): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    // The content is sent once the worker has taken the request.
    const expect = content ? { expect: '100-continue' } : {};
    const call = request(`${address}${target}`, { method, headers: { ...headers, ...expect }, signal, agent: false });
    let [isBegun, contentError]: [boolean, unknown] = [false, null];
    const fail = (cause: unknown): void => {
      if (contentError !== null || signal.aborted) return reject(contentError ?? cause);
      reject(
        isBegun
          ? new LostCallError('the worker was lost', { cause })
          : new NotServedError('the worker did not answer', { cause }),
      );
    };
    async function* watched(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
      try {
        yield* source;
      } catch (error) {
        contentError = error;
        throw error;
      }
    }
    call.once('response', (response) => {
      const status = response.statusCode ?? 0;
      if (status === 200 || status === 409) return resolve(response);
      response.destroy();
      fail(new Error(`the worker answered ${status}`));
    });
    call.on('error', fail);
    if (content)
      call.once('continue', () => {
        isBegun = true;
        pipeline(watched(content), call).catch(fail);
      });
    else call.end();
  });
}
