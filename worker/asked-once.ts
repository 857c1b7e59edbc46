/** Whoever asks while an answer is on its way gets the same one. */
export function askedOnce<T>(ask: () => Promise<T>): () => Promise<T> {
  let pending: Promise<T> | null = null;
  return () =>
    (pending ??= ask().finally(() => {
      pending = null;
    }));
}
