/** Whether this is a system error with one of these codes. It need not be an Error of this realm (Jest has its own). */
export function isErrno(error: unknown, ...codes: string[]): boolean {
  return (
    typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'string' && codes.includes(error.code)
  );
}
