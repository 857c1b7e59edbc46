import { describe, expect, test } from '@jest/globals';
import { toldHere } from '../../../api/operations/messages/conversation.ts';
import { AppError } from '../../../domain/errors.ts';
import { NoReplyError } from '../../../turns/conversation/no-reply.ts';
import type { NoReplyReason } from '../../../turns/conversation/no-reply.ts';

const ANSWERS: [why: NoReplyReason, status: number, retryable: boolean, words: RegExp][] = [
  ['still_running', 504, false, /GET \.\.\.\/messages\/:messageId/],
  ['not_continued', 503, false, /GET \.\.\.\/messages\/:messageId/],
  ['pending', 409, true, /Idempotency-Key/],
  ['deleted', 404, false, /Idempotency-Key/],
];

describe('a client that gets no reply of an accepted message', () => {
  test.each(ANSWERS)(
    'is told how these endpoints give it, and the service names no endpoint: %s',
    (why, status, retryable, words) => {
      const error = new NoReplyError(why, 'msg_1');
      expect(error.message).not.toMatch(/GET|\/|Idempotency|header/i);
      const told = toldHere(error);
      expect(told).toBeInstanceOf(AppError);
      expect(told).toMatchObject({ status, retryable, messageId: 'msg_1', message: expect.stringMatching(words) });
    },
  );

  test('hears of anything else as it was said', () => {
    const error = new AppError('agent_error', 'The agent failed.');
    expect(toldHere(error)).toBe(error);
  });
});
