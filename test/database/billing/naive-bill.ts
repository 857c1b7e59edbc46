/** A bill in its simplest form, which shares nothing with the product's. Times are milliseconds since 1970. */

export interface SimPrice {
  startsAt: number;
  nanoUsdPerHour: bigint;
}

/** One time in which a gateway ran, as it was in truth. */
export interface Run {
  instanceId: string;
  intervalId: string;
  bootId: string;
  shard: number;
  state: 'planned' | 'running' | 'ended';
  startedAt: number;
  endedAt: number | null;
  /** It stopped answering, and this is the last proof before. */
  lostAt: number | null;
  /** It was met at its end. */
  isProven: boolean;
}

export interface SimAccount {
  id: string;
  credits: { at: number; amount: bigint }[];
  runs: Run[];
  /** The model calls that have ended. */
  calls: { at: number; cost: bigint }[];
}

/** What a million tokens cost from a moment on. */
export interface SimTokenPrice {
  model: string;
  startsAt: number;
  input: bigint;
  output: bigint;
  cacheRead: bigint;
  cacheWrite: bigint;
}

interface SimCall {
  model: string;
  begunAt: number;
  inputTokens: number;
  outputTokens: number;
  cacheReadTokens: number;
  cacheWriteTokens: number;
}

/** Kind after kind of tokens, divided once at the end. */
export function callCost(prices: readonly SimTokenPrice[], call: SimCall): bigint {
  const price = prices.findLast(({ model, startsAt }) => model === call.model && startsAt <= call.begunAt);
  if (!price) return 0n;
  const uncached = call.inputTokens - call.cacheReadTokens - call.cacheWriteTokens;
  const kinds: [number, bigint][] = [
    [uncached, price.input],
    [call.outputTokens, price.output],
    [call.cacheReadTokens, price.cacheRead],
    [call.cacheWriteTokens, price.cacheWrite],
  ];
  return kinds.reduce((sum, [tokens, each]) => sum + BigInt(tokens) * each, 0n) / 1_000_000n;
}

/** Until when a run is to be paid, as far as is known at this moment. */
export function paidUntil({ startedAt, endedAt, lostAt, isProven }: Run, at: number): number {
  const end = isProven ? (endedAt ?? at) : Math.min(endedAt ?? at, lostAt ?? at);
  return Math.max(startedAt, Math.min(end, at));
}

/** Price after price: whole milliseconds at each, divided once at the end. */
export function runCost(prices: readonly SimPrice[], run: Run, at: number): bigint {
  const until = paidUntil(run, at);
  let sum = 0n;
  for (let index = 0; index < prices.length; index += 1) {
    const { startsAt, nanoUsdPerHour } = prices[index]!;
    const endsAt = prices[index + 1]?.startsAt ?? until;
    const ms = Math.min(endsAt, until) - Math.max(startsAt, run.startedAt);
    if (ms > 0) sum += nanoUsdPerHour * BigInt(ms);
  }
  return sum / 3_600_000n;
}

export function accountCost(prices: readonly SimPrice[], { runs, calls }: SimAccount, at: number): bigint {
  const spoken = calls.reduce((sum, call) => (call.at <= at ? sum + call.cost : sum), 0n);
  return runs.reduce((sum, run) => sum + runCost(prices, run, at), spoken);
}

/** Walks from credit to credit: what was used and not paid is lost, and never asked for again. */
export function naiveShortage(prices: readonly SimPrice[], account: SimAccount, end: number): bigint {
  let [paidIn, used, lost] = [0n, 0n, 0n];
  for (const { at, amount } of [...account.credits, { at: end, amount: 0n }].toSorted((one, other) => one.at - other.at)) {
    used = accountCost(prices, account, at);
    if (used > paidIn + lost) lost = used - paidIn;
    paidIn += amount;
  }
  return lost;
}
