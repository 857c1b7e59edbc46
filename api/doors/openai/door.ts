import type { AppError } from '../../../domain/errors.ts';
import { REST_DOOR } from '../../http/door.ts';
import type { Door } from '../../http/door.ts';
import { answerError } from './error-answer.ts';

/** Names the conversation of a chat completion. */
export const SESSION_HEADER = 'X-Session-Id';
/** What of the request the agent cannot honour, by the names of its parameters. */
export const IGNORED_HEADER = 'X-Ignored-Parameters';
/** How often the official clients have sent this request before. */
export const RETRY_HEADER = 'X-Stainless-Retry-Count';

const CLIENT_HEADERS = ['Arch', 'Lang', 'OS', 'Package-Version', 'Runtime', 'Runtime-Version', 'Timeout'];

/** The door for clients of OpenAI's API. */
export const OPENAI_DOOR: Door = {
  basePath: '/openai/v1',
  // A bearer token decides, as at OpenAI; without one our own header counts.
  credentialOf: ({ authorization, 'x-api-key': key }) =>
    REST_DOOR.credentialOf(authorization === undefined ? { 'x-api-key': key } : { authorization }),
  answerError: (error: AppError, requestId: string) => answerError(error, requestId),
  browserHeaders: {
    sent: [
      ...[SESSION_HEADER, RETRY_HEADER, 'OpenAI-Organization', 'OpenAI-Project', 'OpenAI-Beta'],
      ...CLIENT_HEADERS.map((name) => `X-Stainless-${name}`),
    ],
    read: [IGNORED_HEADER],
  },
};
