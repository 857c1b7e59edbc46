export interface Measured {
  /** What the metrics of the process say now. */
  metrics(): Promise<string>;
}

/** For how long one call may keep a process from everything else. */
const STAND_MS = 200;
/** A call may be kept from the processor by others; of some tries the shortest stand is its own. */
const TRIES = 5;

/** Since it was last asked: the longest time that the event loop stood, and in all the time that the process was at work. */
async function readTimes(process: Measured): Promise<{ standMs: number; workMs: number }> {
  const text = await process.metrics();
  const read = (name: string) => Number(new RegExp(`^${name}\\S* (\\S+)$`, 'm').exec(text)?.[1]) * 1_000;
  return { standMs: read('nodejs_eventloop_lag_max_seconds'), workMs: read('process_cpu_seconds_total') };
}

/**
 * How long the call keeps the process from everything else. A stand that the machine has caused takes no processor time of
 * the process, and work that is done in many pieces makes no stand: so it is the smaller of the two.
 */
export async function priceOf(process: Measured, call: () => Promise<unknown>): Promise<number> {
  let least = Number.POSITIVE_INFINITY;
  for (let tries = 0; tries < TRIES && least > STAND_MS; tries += 1) {
    const before = await readTimes(process);
    await call();
    const after = await readTimes(process);
    least = Math.min(least, Math.max(0, Math.min(after.standMs, after.workMs - before.workMs)));
  }
  return least;
}

/** The calls that keep this process from everything else for over 200 ms, with how long they do. */
export async function tooDear(
  process: Measured,
  calls: ReadonlyMap<string, () => Promise<unknown>>,
): Promise<Record<string, number>> {
  const dear: Record<string, number> = {};
  for (const [name, call] of calls) {
    const price = await priceOf(process, call);
    if (price > STAND_MS) dear[name] = Math.round(price);
  }
  return dear;
}
