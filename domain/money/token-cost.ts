import { parseUsd } from './money.ts';

/** What a million tokens of a model cost, in nano-dollars. */
export interface TokenPrice {
  /** Its public id. */
  model: string;
  input: bigint;
  output: bigint;
  cacheRead: bigint;
  cacheWrite: bigint;
}

interface Priced {
  priceUsdPerMillion?:
    | { input?: string | undefined; output?: string | undefined; cacheRead?: string | undefined; cacheWrite?: string | undefined }
    | undefined;
}

/**
 * What the models of the setting MODELS cost, as far as they have prices. A price that is not given is zero, but what is read from
 * a cache or written there costs as other input does.
 */
export function tokenPricesOf(models: Readonly<Record<string, Priced>>): TokenPrice[] {
  return Object.entries(models).flatMap(([model, { priceUsdPerMillion: prices }]) => {
    if (!prices) return [];
    const nano = (usd: string | undefined, otherwise: bigint): bigint =>
      usd === undefined ? otherwise : (parseUsd(usd) ?? otherwise);
    const input = nano(prices.input, 0n);
    const rest = {
      output: nano(prices.output, 0n),
      cacheRead: nano(prices.cacheRead, input),
      cacheWrite: nano(prices.cacheWrite, input),
    };
    return [{ model, input, ...rest }];
  });
}

/** Where something was charged for tokens: an agent, one of its models, and a full UTC hour. */
export interface TokenPlace {
  agentId: string;
  model: string;
  /** Its beginning, in milliseconds since 1970. */
  hour: number;
}
