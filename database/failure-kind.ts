const CONFLICTS = new Set(['40001', '40P01']);
const AWAY = new Set(['57P01', '57P02', '57P03', '53300', 'ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'ENOTFOUND']);
/** What the driver says without a code when its connection is lost, or when none was free in time. */
const AWAY_MESSAGES = /Connection terminated|timeout exceeded when trying to connect|Client has encountered a connection error/;

function codeOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

/** Whether the database gave up this transaction in favour of another one, so that it may simply run again. */
export function isWriteConflict(error: unknown): boolean {
  return CONFLICTS.has(codeOf(error) ?? '');
}

/** Whether the database could not be reached, or dropped the connection. */
export function isDatabaseAway(error: unknown): boolean {
  const code = codeOf(error);
  if (code !== undefined && (AWAY.has(code) || code.startsWith('08'))) return true;
  return error instanceof Error && AWAY_MESSAGES.test(error.message);
}
