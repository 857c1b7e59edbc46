export const NANO_PER_USD = 1_000_000_000n;
const NANO_PER_CENT = 10_000_000n;
const DECIMAL = /^(\d{1,9})(?:\.(\d{1,9}))?$/;

/** Nano-dollars of a decimal amount such as "12.50"; null when the text is not one (at most nine digits on each side). */
export function parseUsd(text: string): bigint | null {
  const match = DECIMAL.exec(text);
  if (!match) return null;
  const [, dollars = '0', fraction = ''] = match;
  return BigInt(dollars) * NANO_PER_USD + BigInt(fraction.padEnd(9, '0'));
}

/** The decimal amount of nano-dollars with at least two decimals: "12.50", "-0.000000001". */
export function formatUsd(nanoUsd: bigint): string {
  const sign = nanoUsd < 0n ? '-' : '';
  const amount = nanoUsd < 0n ? -nanoUsd : nanoUsd;
  const fraction = (amount % NANO_PER_USD)
    .toString()
    .padStart(9, '0')
    .replace(/0{1,7}$/, '');
  return `${sign}${amount / NANO_PER_USD}.${fraction}`;
}

/** Dollars as a number for display: rounded down to cents, never negative. */
export function balanceUsd(nanoUsd: bigint): number {
  return nanoUsd > 0n ? Number(nanoUsd / NANO_PER_CENT) / 100 : 0;
}
