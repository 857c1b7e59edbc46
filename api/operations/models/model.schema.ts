import { z } from 'zod';
import type { TroubleView } from '../../../database/models/list-troubles.ts';
import type { ModelSettings, Target } from '../../../lib/settings/models.ts';

const price = z.string().nullable();

export const modelState = z.enum(['available', 'degraded']);

export const pricesSchema = z.object({ input: price, output: price, cacheRead: price, cacheWrite: price });

/** What is shown of a model at a provider that has this trouble, or none. */
export function stateOf(trouble: TroubleView | undefined): z.infer<typeof modelState> {
  return trouble ? 'degraded' : 'available';
}

/** The prices of a model; null when it has none. */
export function presentPrices({ priceUsdPerMillion: prices }: ModelSettings): z.input<typeof pricesSchema> | null {
  if (!prices) return null;
  const { input = null, output = null, cacheRead = null, cacheWrite = null } = prices;
  return { input, output, cacheRead, cacheWrite };
}

/** Why this model is not answered by this provider at the moment; undefined when nothing is known to be wrong. */
export function troubleOf(troubles: readonly TroubleView[], { provider, upstream }: Target): TroubleView | undefined {
  return troubles.find((trouble) => trouble.provider === provider && trouble.upstream === upstream);
}
