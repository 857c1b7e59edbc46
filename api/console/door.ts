import type { Door } from '../http/door.ts';
import { REST_DOOR } from '../http/door.ts';
import { readSession } from './session-cookie.ts';

/** Below it are the pages of the console and its sessions. */
export const CONSOLE_PATH = '/console';

/** Signs in and out. The cookie of the session is the only credential: keys and tokens that a page sends are ignored. */
export const SESSION_DOOR: Door = {
  basePath: CONSOLE_PATH,
  credentialOf(headers) {
    const token = readSession(headers);
    return token === undefined ? null : { kind: 'token', token };
  },
  answerError: REST_DOOR.answerError,
};

/** The operations of the REST API for pages of the console. */
export const CONSOLE_DOOR: Door = { ...SESSION_DOOR, basePath: `${CONSOLE_PATH}/api/v1`, takesOperators: true };
