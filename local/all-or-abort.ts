/** Runs the tasks at once. When one fails the others are aborted, all are waited for, and the first failure is thrown. */
export async function allOrAbort(signal: AbortSignal, tasks: readonly ((signal: AbortSignal) => Promise<void>)[]): Promise<void> {
  const failed = new AbortController();
  const both = AbortSignal.any([signal, failed.signal]);
  await Promise.allSettled(
    tasks.map(async (task) => {
      try {
        await task(both);
      } catch (error) {
        failed.abort(error);
      }
    }),
  );
  if (failed.signal.aborted) throw failed.signal.reason;
  signal.throwIfAborted();
}
