const CONFLICTS = new Set(['40001', '40P01']);
/** A lock, a statement or a transaction was not done in its time: the time limits of our connections, or an operator. */
const TIMED_OUT = new Set(['55P03', '57014', '25P03']);
/** The server or the way to it is at fault, for a while: the same statement may succeed later. */
const AWAY = new Set([
  // The connection. 08P01 is not among them: a message that breaks the protocol is a fault of ours.
  ...['08000', '08001', '08003', '08004', '08006', '08007', '40003'],
  // The server stops, starts, drops idle sessions, or only reads while another one takes over.
  ...['57P01', '57P02', '57P03', '57P05', '25006'],
  // The server has no connection, memory or disk space left, or its own system fails.
  ...['53000', '53100', '53200', '53300', '58000', '58030'],
  ...[
    'ECONNREFUSED',
    'ECONNRESET',
    'ECONNABORTED',
    'EPIPE',
    'ETIMEDOUT',
    'ENOTFOUND',
    'EAI_AGAIN',
    'EHOSTUNREACH',
    'ENETUNREACH',
  ],
]);
/** What the driver says without a code when its connection is lost, or when none was free in time. */
const AWAY_MESSAGES = /Connection terminated|timeout exceeded when trying to connect|Client has encountered a connection error/;

function codeOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

/**
 * Whether the database is at work and refuses the statement or what is in it, so that the same again is refused again. A
 * lock or a time limit that was in the way is none.
 */
export function isDatabaseRefusal(error: unknown): boolean {
  const code = codeOf(error) ?? '';
  if (!/^[0-9A-Z]{5}$/.test(code) || /^5[57]/.test(code)) return false;
  return !isWriteConflict(error) && !isDatabaseAway(error) && !isDatabaseTimeout(error);
}

/** Whether the database gave up because it took too long, mostly for a lock, so that the same may succeed later. */
export function isDatabaseTimeout(error: unknown): boolean {
  return TIMED_OUT.has(codeOf(error) ?? '');
}

/** Whether the database gave up this transaction in favour of another one, so that it may simply run again. */
export function isWriteConflict(error: unknown): boolean {
  return CONFLICTS.has(codeOf(error) ?? '');
}

/** Whether the database could not be reached, dropped the connection, or cannot work for a while. */
export function isDatabaseAway(error: unknown): boolean {
  const code = codeOf(error);
  if (code !== undefined && AWAY.has(code)) return true;
  return Error.isError(error) && AWAY_MESSAGES.test(error.message);
}

/** The user of this connection may not do that. */
export function lacksPrivilege(error: unknown): boolean {
  return codeOf(error) === '42501';
}
