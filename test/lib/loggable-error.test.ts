import { runInNewContext } from 'node:vm';
import { expect, test } from '@jest/globals';
import { loggableError } from '../../lib/loggable-error.ts';

/** What a signal that has run out gives as its reason. */
async function timedOut(): Promise<unknown> {
  const signal = AbortSignal.timeout(1);
  await new Promise((resolve) => signal.addEventListener('abort', resolve));
  return signal.reason;
}

test('an error is told by its name and message, wherever it was made', async () => {
  expect(loggableError(await timedOut())).toMatchObject({ type: 'TimeoutError', message: expect.stringContaining('timeout') });
  expect(loggableError(new DOMException('stopped', 'AbortError'))).toMatchObject({ type: 'AbortError', message: 'stopped' });
  const foreign: unknown = runInNewContext('new TypeError("of another context")');
  expect(loggableError(new Error('outer', { cause: foreign }))).toMatchObject({
    type: 'Error',
    cause: { type: 'TypeError', message: 'of another context' },
  });
});

test('of an error the first line, its code and the frames are kept, and never the values of a row', () => {
  const error = Object.assign(new Error('duplicate key\nDetail: (ada@example.com)'), {
    code: '23505',
    constraint: 'accounts_email',
    detail: 'ada@example.com',
  });
  const said = loggableError(error);
  expect(said).toMatchObject({ type: 'Error', message: 'duplicate key', errorCode: '23505', constraint: 'accounts_email' });
  expect(JSON.stringify(said)).not.toContain('ada@example.com');
});

test.each([['a text'], [{ message: 'secret' }], [undefined]])('a thrown %j is not shown', (thrown) => {
  expect(loggableError(thrown)).toEqual({ type: typeof thrown, message: 'a value that is not an error was thrown' });
});
