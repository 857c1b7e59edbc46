import autocannon from 'autocannon';
import type { Row } from './table.ts';

export const CONNECTIONS = 20;
/** Writes wait for the disk: with more of them at once each only waits longer. */
export const WRITE_CONNECTIONS = 10;
export const SECONDS = 10;
/** Until its code is compiled, a process answers more slowly. */
const WARM_UP_SECONDS = 5;

/** So many calls a second are answered, and how fast, once one call was made and the process is warm. */
export async function rate(what: string, least: number, options: autocannon.Options): Promise<Row[]> {
  const { connections = CONNECTIONS } = options;
  // What is replayed is made by one call alone.
  await autocannon({ ...options, connections: 1, amount: 1 });
  await autocannon({ ...options, connections, duration: WARM_UP_SECONDS });
  const result = await autocannon({ ...options, connections, duration: SECONDS });
  if (result.non2xx > 0) throw new Error(`${result.non2xx} calls of ${what} failed`);
  const { average } = result.requests;
  const { p50, p99 } = result.latency;
  return [
    { what: `${what}, per second`, values: [average], unit: 'requests/s', goal: `>= ${least}`, reached: average >= least },
    { what: `${what}, ${connections} at once`, values: [p50], p99, unit: 'ms', goal: 'p99 < 50', reached: p99 < 50 },
  ];
}
