import type { Logger, LogLevel, LogMetadata } from '@temporalio/common';
import { makeTelemetryFilterString, Runtime } from '@temporalio/worker';
import type { Log } from '../../lib/log.ts';

const LEVELS = { TRACE: 'trace', DEBUG: 'debug', INFO: 'debug', WARN: 'warn', ERROR: 'error' } as const satisfies Record<
  LogLevel,
  string
>;

/** What Temporal's own lines may say: names and numbers. */
const FIELDS = [
  'activityType',
  'attempt',
  'durationMs',
  'isLocal',
  'namespace',
  'runId',
  'sdkComponent',
  'taskQueue',
  'workflowId',
  'workflowType',
];

const REASON_CHARACTERS = 300;

/**
 * Has Temporal's library write to our log, and leave the process's signals alone. Once per process, before the first
 * connection and worker.
 */
export function installTemporalLogging(log: Log): void {
  Runtime.install({
    logger: temporalLogger(log),
    shutdownSignals: [],
    telemetryOptions: { logging: { filter: makeTelemetryFilterString({ core: 'WARN', other: 'ERROR' }), forward: {} } },
  });
}

/** The library's native part gives its errors as text, in which Temporal alone speaks: our payloads are ids. */
function cause(error: unknown): { err: unknown } | { reason: string } | undefined {
  if (error === undefined) return undefined;
  return typeof error === 'string' ? { reason: error.slice(0, REASON_CHARACTERS) } : { err: error };
}

/** Our log as Temporal's library knows one. What is worth an info to it happens with every task. */
export function temporalLogger(log: Log): Logger {
  const write = (level: LogLevel, message: string, meta: LogMetadata = {}): void => {
    const fields = Object.fromEntries(FIELDS.flatMap((name) => (name in meta ? [[name, meta[name]]] : [])));
    log[LEVELS[level]]({ ...fields, ...cause(meta['error']) }, `temporal: ${message}`);
  };
  return {
    log: write,
    trace: (message, meta) => write('TRACE', message, meta),
    debug: (message, meta) => write('DEBUG', message, meta),
    info: (message, meta) => write('INFO', message, meta),
    warn: (message, meta) => write('WARN', message, meta),
    error: (message, meta) => write('ERROR', message, meta),
  };
}
