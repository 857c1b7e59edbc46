/** Asks once for all callers at the same time, and answers callers within `ms` after that from memory. */
export function remembered<T>(ms: number, ask: () => Promise<T>): () => Promise<T> {
  let known: Promise<T> | null = null;
  let staleAt = 0;
  return () => {
    if (known && performance.now() < staleAt) return known;
    staleAt = Number.POSITIVE_INFINITY;
    const asked = ask().finally(() => (staleAt = performance.now() + ms));
    known = asked;
    return asked;
  };
}
