import { chargeOf } from './metering.ts';
import type { Price, Span } from './metering.ts';

const DAY_MS = 86_400_000;

interface Paid {
  instanceId: string;
  startedAt: number;
  until: number;
}

export interface RuntimeUsage {
  key: string;
  runtimeMs: number;
  chargedNanoUsd: bigint;
}

/** Running time and its cost within a range, by instance or by UTC day. The days of a range add up to the range. */
export function sumRuntime(
  intervals: readonly Paid[],
  { prices, range, group }: { prices: readonly Price[]; range: Span; group: 'instance' | 'day' },
): RuntimeUsage[] {
  const sums = new Map<string, RuntimeUsage>();
  for (const { instanceId, startedAt, until } of intervals) {
    const span = { from: Math.max(startedAt, range.from), to: Math.min(until, range.to) };
    for (const part of group === 'day' ? daysOf(span) : [span]) {
      if (part.from >= part.to) continue;
      const key = group === 'day' ? new Date(part.from).toISOString().slice(0, 10) : instanceId;
      const sum = sums.get(key) ?? { key, runtimeMs: 0, chargedNanoUsd: 0n };
      sum.runtimeMs += part.to - part.from;
      sum.chargedNanoUsd += chargeOf(prices, startedAt, part);
      sums.set(key, sum);
    }
  }
  return [...sums.values()];
}

function daysOf({ from, to }: Span): Span[] {
  const days: Span[] = [];
  for (let at = from; at < to;) {
    const end = Math.min(to, (Math.floor(at / DAY_MS) + 1) * DAY_MS);
    days.push({ from: at, to: end });
    at = end;
  }
  return days;
}
