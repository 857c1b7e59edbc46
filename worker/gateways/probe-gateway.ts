import { probeReadiness } from '../../runtime/engine.ts';
import type { Endpoint } from '../../runtime/driver.ts';

/**
 * Whether something answers at this gateway's /readyz within the time. Whatever it answers, it lives; when that is that
 * it is not ready, `onUnready` gets what it says is failing.
 */
export async function answersProbe(
  endpoint: Endpoint,
  timeoutMs: number,
  onUnready: (failing: readonly string[]) => void,
): Promise<boolean> {
  const seen = await probeReadiness(endpoint, timeoutMs);
  if (seen?.failing) onUnready(seen.failing);
  return seen !== null;
}
