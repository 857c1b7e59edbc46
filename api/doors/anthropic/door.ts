import type { AppError } from '../../../domain/errors.ts';
import type { Door } from '../../http/door.ts';
import { OPENAI_DOOR } from '../openai/door.ts';
import { answerError } from './error-answer.ts';

const CLIENT_HEADERS = [
  'Arch',
  'Lang',
  'OS',
  'Package-Version',
  'Retry-Count',
  'Runtime',
  'Runtime-Version',
  'Timeout',
  'Helper',
];

/** The door for clients of Claude Managed Agents, whose paths begin with a version of their own. */
export const ANTHROPIC_DOOR: Door = {
  basePath: '/anthropic',
  // Its clients of today send their key as a bearer token, older ones as ours do.
  credentialOf: (headers) => OPENAI_DOOR.credentialOf(headers),
  answerError: (error: AppError, requestId: string) => answerError(error, requestId),
  errorEventName: 'error',
  answerHeaders: (requestId) => ({ 'request-id': requestId }),
  browserHeaders: {
    sent: [
      ...['anthropic-version', 'anthropic-beta', 'anthropic-workspace-id', 'anthropic-dangerous-direct-browser-access'],
      ...CLIENT_HEADERS.map((name) => `X-Stainless-${name}`),
    ],
    read: ['request-id'],
  },
};
