/** Nano-dollars times milliseconds per hour: what one nano-dollar is worth of `price x milliseconds`. */
const MS_PER_HOUR = 3_600_000;
const UNITS_PER_NANO = BigInt(MS_PER_HOUR);

/** Times are milliseconds since 1970. */
export interface Price {
  /** It applies from this moment on, until the next one begins. */
  startsAt: number;
  nanoUsdPerHour: bigint;
}

export interface Span {
  from: number;
  to: number;
}

/** A span that lies in one UTC hour and has one price. */
export interface PricedSpan extends Span {
  nanoUsdPerHour: bigint;
}

/** The pieces of a span that have one price each. `prices` is in order; what lies before the first one has no price. */
function pricedPieces(prices: readonly Price[], { from, to }: Span): PricedSpan[] {
  const pieces = prices.map(({ startsAt, nanoUsdPerHour }, index) => ({
    from: Math.max(from, startsAt),
    to: Math.min(to, prices[index + 1]?.startsAt ?? Number.POSITIVE_INFINITY),
    nanoUsdPerHour,
  }));
  return pieces.filter((piece) => piece.from < piece.to);
}

/** `price x milliseconds` of a span, exact. */
function units(prices: readonly Price[], span: Span): bigint {
  return pricedPieces(prices, span).reduce((sum, { from, to, nanoUsdPerHour }) => sum + nanoUsdPerHour * BigInt(to - from), 0n);
}

/**
 * What [from, to) costs of an interval that began at `startedAt`, in nano-dollars: what the interval had cost at `to`,
 * rounded down, less what it had cost at `from`, rounded down. So whatever the cuts, an interval costs its exact sum,
 * rounded down once.
 */
export function chargeOf(prices: readonly Price[], startedAt: number, { from, to }: Span): bigint {
  const costUntil = (at: number): bigint => units(prices, { from: startedAt, to: at }) / UNITS_PER_NANO;
  return to <= from ? 0n : costUntil(to) - costUntil(from);
}

/** The lines of a bill for this span: cut at each full UTC hour and at each change of the price. */
export function debitSpans(prices: readonly Price[], { from, to }: Span): PricedSpan[] {
  return pricedPieces(prices, { from, to }).flatMap((piece) => {
    const spans: PricedSpan[] = [];
    for (let at = piece.from; at < piece.to;) {
      const end = Math.min(piece.to, (Math.floor(at / MS_PER_HOUR) + 1) * MS_PER_HOUR);
      spans.push({ ...piece, from: at, to: end });
      at = end;
    }
    return spans;
  });
}

/** For how many hours the money lasts at this burn; null when nothing burns. */
export function hoursLeft(availableNanoUsd: bigint, burnNanoUsdPerHour: bigint): number | null {
  if (burnNanoUsdPerHour === 0n) return null;
  const available = availableNanoUsd > 0n ? availableNanoUsd : 0n;
  return Number((available * UNITS_PER_NANO) / burnNanoUsdPerHour) / MS_PER_HOUR;
}

/** How many hours before the money is used up the customer is warned. */
export const LOW_HOURS = [72, 24, 1] as const;

/** The nearest warning that is due when the money lasts for this many hours; null when none is due. */
export function lowThreshold(hours: number): (typeof LOW_HOURS)[number] | null {
  return LOW_HOURS.findLast((threshold) => hours <= threshold) ?? null;
}

/** Money that came in: a credit, or a debit that was taken back. */
export interface Credit {
  at: number;
  nanoUsd: bigint;
}

/**
 * How much of what was used had no money behind it: the deepest that the account would have been below zero, ever.
 * `costUntil` says what had been used at a moment. It is deepest right before money comes in, or at the end.
 */
export function shortage(credits: readonly Credit[], costUntil: (at: number) => bigint, end: number): bigint {
  const depthAt = (at: number, isCounted: (credit: Credit) => boolean): bigint =>
    costUntil(at) - credits.filter(isCounted).reduce((sum, { nanoUsd }) => sum + nanoUsd, 0n);
  const depths = credits.map(({ at }) => depthAt(at, (credit) => credit.at < at));
  return [0n, ...depths, depthAt(end, () => true)].reduce((deepest, depth) => (depth > deepest ? depth : deepest));
}
