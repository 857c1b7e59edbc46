import { orElse } from './api.ts';
import type { Cluster } from './cluster.ts';
import { pathOf } from './names.ts';

/** The gateway prints more lines than those that are shown. */
const LINES = 5_000;
const KEPT_BYTES = 256 * 1024;
/** Lines can be long; an answer that does not end is not read to its end. */
const MAX_BYTES = 64 * 1024 ** 2;

/** The end of what the gateway of a Pod has printed; empty when there is none. */
export async function logOf({ api, namespace }: Cluster, pod: string): Promise<string> {
  const query = { container: 'gateway', tailLines: String(LINES) };
  // 400: the container was not started yet.
  const output = await orElse([400, 404], null, () =>
    api.stream('GET', `${pathOf(namespace, 'pods', pod)}/log`, { query, accept: '*/*' }),
  );
  if (output === null) return '';
  let kept = Buffer.alloc(0);
  let size = 0;
  for await (const piece of output as AsyncIterable<Buffer>) {
    size += piece.length;
    kept = Buffer.concat([kept, piece]).subarray(-KEPT_BYTES);
    if (size > MAX_BYTES) break;
  }
  const text = kept.toString();
  // A cut rarely falls between two lines.
  return size <= KEPT_BYTES ? text : text.slice(text.indexOf('\n') + 1);
}
