import type { IncomingHttpHeaders } from 'node:http';
import type { AppError } from '../../domain/errors.ts';
import { KEY_PREFIX } from '../security/api-key.ts';
import { BASE_PATH } from './base-path.ts';
import { toEnvelope } from './error-envelope.ts';

/** What a call says of who makes it, as it was sent. */
export type Credential = { kind: 'api-key'; key: string } | { kind: 'token'; token: string };

/**
 * What differs between families of endpoints: the beginning of their paths, which credential counts, and the format of
 * errors. Operations are mounted with their door (mount.ts); everything else is the same for every door.
 */
export interface Door {
  basePath: string;
  /** The credential that authenticates a call by an account. Null: the headers have none. */
  credentialOf(headers: IncomingHttpHeaders): Credential | null;
  /** Every answer that is not a success; its body is also the data of the last event of a stream that fails. */
  answerError(error: AppError, requestId: string): ErrorAnswer;
  /** The name of the last event of a stream that fails; without it, that event has none. */
  errorEventName?: string;
  /** On every answer. */
  answerHeaders?(requestId: string): Readonly<Record<string, string>>;
  /** Accounts that are operators call the operations of operators here; the operator token counts for nothing. */
  takesOperators?: true;
  /** The headers that its clients in browsers send and read, beside those of every door. */
  browserHeaders?: { sent: readonly string[]; read: readonly string[] };
}

export interface ErrorAnswer {
  status: number;
  headers?: Readonly<Record<string, string>>;
  body: object;
}

/** The token of `Authorization: Bearer`, which operators send too. */
export function bearerToken({ authorization = '' }: IncomingHttpHeaders): string | undefined {
  return /^bearer +(\S+)$/i.exec(authorization)?.[1];
}

/** The door of the REST API, and of every request that no other door takes. */
export const REST_DOOR: Door = {
  basePath: BASE_PATH,
  credentialOf(headers) {
    const key = headers['x-api-key'];
    if (typeof key === 'string') return { kind: 'api-key', key };
    const token = bearerToken(headers);
    if (token === undefined) return null;
    // Clients of other services send their key this way.
    return token.startsWith(KEY_PREFIX) ? { kind: 'api-key', key: token } : { kind: 'token', token };
  },
  answerError: (error, requestId) => ({ status: error.status, body: toEnvelope(error, requestId) }),
};
