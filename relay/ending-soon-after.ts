const GRACE_MS = 1_000;

/**
 * The same source, but it ends a second after everything that counts has come, whatever the source does. What is left
 * of it then ends with the signal of its call: a source that hangs cannot be told otherwise.
 */
export async function* endingSoonAfter<T>(source: AsyncIterable<T>, isOver: () => boolean): AsyncGenerator<T> {
  const iterator = source[Symbol.asyncIterator]();
  let grace: Promise<null> | null = null;
  let timer: NodeJS.Timeout | undefined;
  let hangs = false;
  try {
    for (;;) {
      const next = iterator.next();
      if (isOver()) grace ??= new Promise((resolve) => (timer = setTimeout(() => resolve(null), GRACE_MS)));
      const result = await (grace ? Promise.race([next, grace]) : next);
      if (result === null) {
        hangs = true;
        next.catch(() => {});
        return;
      }
      if (result.done === true) return;
      yield result.value;
    }
  } finally {
    clearTimeout(timer);
    if (!hangs) await iterator.return?.();
  }
}
