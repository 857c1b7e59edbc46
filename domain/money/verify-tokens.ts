import type { TokenPlace } from './token-cost.ts';

/** The model calls of an agent, a model and an hour that cost something, and what was written down of them. */
export interface TokenHour extends TokenPlace {
  /** What the calls cost, recomputed from their tokens and prices. */
  costNanoUsd: bigint;
  calls: number;
  /** How many calls have another cost than that, or prices of another time. */
  wrongCalls: number;
  /** By ledger lines. */
  debitedNanoUsd: bigint;
  debitedCalls: number;
  /** What waits to be debited. */
  waitingNanoUsd: bigint;
  /** False: some of its calls are so old that they were removed. The lines are all that is left. */
  isKept: boolean;
}

/** What model calls cost from the beginning of an hour up to and with a moment in it, for one agent and model. */
export interface TokenPart extends TokenPlace {
  at: number;
  costNanoUsd: bigint;
}

export interface TokenRecord {
  hours: readonly TokenHour[];
  /** For the moment of each credit. */
  parts: readonly TokenPart[];
}

const HOUR_MS = 3_600_000;

/** A sentence for each hour of an agent that was not charged what its calls cost. */
export function tokenProblems({ hours }: TokenRecord): string[] {
  return hours.flatMap((found) => {
    const { agentId, model, hour, costNanoUsd, calls, wrongCalls, debitedNanoUsd, debitedCalls, waitingNanoUsd, isKept } = found;
    const where = `agent ${agentId}, ${model}, ${new Date(hour).toISOString()}`;
    if (wrongCalls > 0) return [`${where}: ${wrongCalls} calls have another cost than their tokens and prices say.`];
    if (!isKept && waitingNanoUsd === 0n) return [];
    const charged = debitedNanoUsd + waitingNanoUsd;
    if (charged !== costNanoUsd) return [`${where}: ${charged} is charged, but its calls cost ${costNanoUsd}.`];
    return waitingNanoUsd === 0n && debitedCalls !== calls
      ? [`${where}: ${debitedCalls} calls are debited, but there are ${calls}.`]
      : [];
  });
}

/** What model calls had cost up to and with this moment: all of them, or those alone that are debited. */
export function tokenCostUntil({ hours, parts }: TokenRecord, at: number, { debitedOnly }: { debitedOnly: boolean }): bigint {
  const counted = hours.filter(({ debitedNanoUsd }) => !debitedOnly || debitedNanoUsd > 0n);
  const known = new Set(counted.map(keyOf));
  const whole = counted.reduce((sum, one) => (one.hour + HOUR_MS <= at ? sum + costOf(one) : sum), 0n);
  return parts.reduce((sum, part) => (part.at === at && known.has(keyOf(part)) ? sum + part.costNanoUsd : sum), whole);
}

function costOf({ isKept, costNanoUsd, debitedNanoUsd }: TokenHour): bigint {
  return isKept ? costNanoUsd : debitedNanoUsd;
}

function keyOf({ agentId, model, hour }: TokenPlace): string {
  return JSON.stringify([agentId, model, hour]);
}
