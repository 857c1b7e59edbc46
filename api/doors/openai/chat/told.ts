import { tellBy } from '../../../operations/messages/conversation.ts';

/** What a client of this door is told of anything that a function of turns/conversation/ has thrown. */
export const toldHere = tellBy({
  still_running:
    'The agent did not reply in time; its turn continues. Do not send the message again: the reply will be in the history of the conversation, under the messageId of this error.',
  pending: 'The request with this Idempotency-Key has no reply yet. Try again in a moment.',
  deleted: 'The message with this Idempotency-Key was deleted.',
  not_continued:
    'The instance failed during this reply and generated a different one. The complete reply is in the history of the conversation, under the messageId of this error.',
});
