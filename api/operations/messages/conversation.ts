import { AppError } from '../../../domain/errors.ts';
import type { ConversationDeps } from '../../../turns/conversation/conversation-deps.ts';
import { NoReplyError } from '../../../turns/conversation/no-reply.ts';
import type { NoReplyReason } from '../../../turns/conversation/no-reply.ts';
import { turnSettings } from '../../../turns/turn-deps.ts';
import type { Deps } from '../../deps.ts';

/** What the functions of turns/conversation/ work with in this process. */
export function conversationDeps(deps: Deps): ConversationDeps {
  return { ...deps, ...turnSettings(deps.config), models: deps.config.MODELS };
}

/** How a client of these endpoints gets its reply after all. */
const SENTENCES: Record<NoReplyReason, string> = {
  still_running:
    'The agent did not reply within the timeout; its turn continues. Do not send the message again: get the reply with GET .../messages/:messageId.',
  pending: 'The message with this Idempotency-Key has no reply yet. Try again in a moment.',
  deleted: 'The message with this Idempotency-Key was deleted.',
  not_continued:
    'The instance failed during this reply and generated a different one. Get the complete reply with GET .../messages/:messageId.',
};

/** Makes the error for a client: a door words a NoReplyError, any other error stays as it is. */
export type Tell = (error: unknown) => unknown;

/** Tells of a NoReplyError in these words. */
export function tellBy(sentences: Readonly<Record<NoReplyReason, string>>): Tell {
  return (error) => {
    if (!(error instanceof NoReplyError)) return error;
    const { code, why, messageId, retryable, retryAfterSeconds } = error;
    return new AppError(code, sentences[why], {
      retryable,
      ...(messageId !== undefined && { messageId }),
      ...(retryAfterSeconds !== undefined && { retryAfterSeconds }),
    });
  };
}

/** Makes the error for a client of these endpoints of anything that a function of turns/conversation/ has thrown. */
export const toldHere = tellBy(SENTENCES);

/** The same for a promise of it, or as another door tells it. */
export async function orTold<T>(promise: Promise<T>, tell = toldHere): Promise<T> {
  try {
    return await promise;
  } catch (error) {
    throw tell(error);
  }
}
