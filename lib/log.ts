import { pino } from 'pino';
import type { Logger } from 'pino';
import { loggableError } from './loggable-error.ts';

export type Log = Logger;

/** Where a credential could stand in what is logged; each is replaced by "[redacted]". */
const REDACTED = ['authorization', 'token', 'apiKey', 'secret', 'password', 'code', 'content'].flatMap((name) => [
  name,
  `*.${name}`,
]);

/** The process's structured log: one JSON line per entry on standard output. */
export function createLog(processName: string, level: string): Log {
  return pino({
    level,
    base: { process: processName },
    redact: { paths: REDACTED, censor: '[redacted]' },
    timestamp: pino.stdTimeFunctions.isoTime,
    serializers: { err: loggableError },
  });
}
