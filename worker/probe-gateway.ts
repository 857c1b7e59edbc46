import type { Endpoint } from '../runtime/driver.ts';

/** Whether something answers at this gateway's /readyz within the time. What it answers does not matter: it lives. */
export async function answersProbe({ httpUrl }: Endpoint, timeoutMs: number): Promise<boolean> {
  try {
    const response = await fetch(`${httpUrl}/readyz`, { signal: AbortSignal.timeout(timeoutMs) });
    await response.body?.cancel();
    return true;
  } catch {
    return false;
  }
}
