/** Shares one pending answer: calls that come before it has arrived get the same promise. */
export function askedOnce<T>(ask: () => Promise<T>): () => Promise<T> {
  let pending: Promise<T> | null = null;
  return () =>
    (pending ??= ask().finally(() => {
      pending = null;
    }));
}
