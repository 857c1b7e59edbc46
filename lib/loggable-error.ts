/** The fields of an error that hold names, never a value of a customer. Its code becomes `errorCode`: `code` is redacted. */
const SAFE_FIELDS = ['errno', 'syscall', 'constraint', 'table', 'column', 'responseCode', 'command'] as const;
const DEPTH = 4;

interface LoggableError {
  type: string;
  message: string;
  stack?: string | undefined;
  cause?: LoggableError;
  [field: string]: unknown;
}

/**
 * What a log line may say of an error. PostgreSQL adds the values of the failing row to an error (as `detail`, and as
 * further lines of the message), so only the first line and the frames of the stack are kept.
 */
export function loggableError(error: unknown, depth = DEPTH): LoggableError {
  if (!Error.isError(error)) return { type: typeof error, message: 'a value that is not an error was thrown' };
  const fields: [string, unknown][] = Object.entries(error).filter(([name]) => SAFE_FIELDS.some((safe) => safe === name));
  return {
    type: error.name,
    message: error.message.split('\n', 1)[0] ?? '',
    stack: error.stack
      ?.split('\n')
      .filter((line) => line.trimStart().startsWith('at '))
      .join('\n'),
    ...('code' in error ? { errorCode: error.code } : {}),
    ...Object.fromEntries(fields),
    ...(error.cause === undefined || depth === 0 ? {} : { cause: loggableError(error.cause, depth - 1) }),
  };
}
