import { setTimeout as sleep } from 'node:timers/promises';
import type { WantedAgents } from '../../gateway/gateway.ts';
import type { Endpoint } from '../../driver.ts';
import { AgentsNotLiveError } from '../../gateway/gateway-errors.ts';
import { gatewayFetch } from '../wire/gateway-fetch.ts';

const POLL_MS = 100;
const PROBE_MS = 5_000;

/**
 * Waits until a running gateway has taken up the agents of its configuration, about a second after that was written.
 * Throws AgentsNotLiveError after deadlineMs, and the signal's reason when it is aborted.
 */
export async function waitForAgents(
  { httpUrl }: Endpoint,
  token: string,
  { present, absent }: WantedAgents,
  { signal, deadlineMs }: { signal: AbortSignal; deadlineMs: number },
): Promise<void> {
  const deadline = AbortSignal.timeout(deadlineMs);
  const wanted = [...present.map((id) => ({ id, status: 200 })), ...absent.map((id) => ({ id, status: 404 }))];
  let open = wanted;
  for (;;) {
    const giveUp = AbortSignal.any([signal, deadline]);
    const seen = await Promise.all(open.map(({ id }) => statusOf(`${httpUrl}/v1/models/openclaw%2F${id}`, token, giveUp)));
    open = open.filter(({ status }, index) => seen[index] !== status);
    if (open.length === 0) return;
    signal.throwIfAborted();
    if (deadline.aborted) {
      const names = open.map(({ id }) => id).join(', ');
      throw new AgentsNotLiveError(`The gateway did not take up its agents within ${deadlineMs} ms: ${names}`);
    }
    await sleep(POLL_MS, undefined, { signal });
  }
}

/** Null when there is no answer. */
async function statusOf(url: string, token: string, signal: AbortSignal): Promise<number | null> {
  try {
    const headers = { authorization: `Bearer ${token}` };
    return (await gatewayFetch(url, { headers, signal, timeoutMs: PROBE_MS })).status;
  } catch {
    return null;
  }
}
