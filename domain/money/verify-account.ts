import { chargeOf, debitSpans, shortage } from './metering.ts';
import type { Credit, Price } from './metering.ts';
import { tokenCostUntil, tokenProblems } from './verify-tokens.ts';
import type { TokenRecord } from './verify-tokens.ts';

/** What was written down of an interval. Times are milliseconds since 1970. */
export interface MeteredInterval {
  id: string;
  startedAt: number;
  endedAt: number | null;
  /** How far it is debited. */
  billedUntil: number;
  /** How far it is proven to have run. */
  provenUntil: number;
  isSettled: boolean;
}

/** A ledger line; the amount is what it adds to the customer's book. */
export interface LedgerLine {
  id: string;
  at: number;
  kind: 'credit' | 'debit' | 'reversal' | 'writeoff';
  amount: bigint;
  intervalId: string | null;
  /** Of a debit for model calls. */
  agentId: string | null;
  from: number | null;
  to: number | null;
  nanoUsdPerHour: bigint | null;
  /** The line that a reversal takes back. */
  reversesId: string | null;
}

export interface AccountRecord {
  accountId: string;
  balance: bigint;
  intervals: readonly MeteredInterval[];
  lines: readonly LedgerLine[];
  tokens: TokenRecord;
}

/**
 * Recomputes an account from nothing but its intervals, its model calls, its credits and the prices, and says in a sentence each where
 * what is written down differs.
 */
export function verifyAccount(account: AccountRecord, prices: readonly Price[]): string[] {
  const { accountId, balance, intervals, lines } = account;
  const problems: string[] = [];
  const debits = Map.groupBy(
    lines.filter(({ kind, agentId }) => kind === 'debit' && agentId === null),
    ({ intervalId }) => intervalId ?? '',
  );
  for (const interval of intervals) {
    const problem = intervalProblem(interval, debits.get(interval.id) ?? [], prices);
    if (problem !== null) problems.push(`${accountId}, interval ${interval.id}: ${problem}`);
    debits.delete(interval.id);
  }
  for (const id of debits.keys()) problems.push(`${accountId}: lines are debited for an interval ${id} that it does not have.`);
  problems.push(...tokenProblems(account.tokens).map((text) => `${accountId}, ${text}`));
  problems.push(...reversalProblems(lines).map((text) => `${accountId}: ${text}`));
  const sum = lines.reduce((total, { amount }) => total + amount, 0n);
  if (sum !== balance) problems.push(`${accountId}: the balance is ${balance}, but its lines add up to ${sum}.`);
  if (balance < 0n) problems.push(`${accountId}: the balance ${balance} is negative.`);
  const problem = lossProblem(account, prices);
  return problem === null ? problems : [...problems, `${accountId}: ${problem}`];
}

/** An interval has exactly the lines that its span is cut into, and is debited no further than is proven. */
function intervalProblem(interval: MeteredInterval, lines: readonly LedgerLine[], prices: readonly Price[]): string | null {
  const { startedAt, endedAt, billedUntil, provenUntil, isSettled } = interval;
  if (billedUntil > provenUntil)
    return `it is debited until ${timeOf(billedUntil)}, but proven until ${timeOf(provenUntil)} only.`;
  if (isSettled && (endedAt === null || billedUntil !== provenUntil))
    return 'it counts as settled, but is not debited to its end.';
  const expected = debitSpans(prices, { from: startedAt, to: billedUntil })
    .map((span) => ({ ...span, amount: -chargeOf(prices, startedAt, span) }))
    .filter(({ amount }) => amount !== 0n);
  const booked = lines.toSorted((one, other) => (one.from ?? 0) - (other.from ?? 0));
  for (let index = 0; index < Math.max(expected.length, booked.length); index += 1) {
    const [want, have] = [expected[index], booked[index]];
    if (!have) return `the debit from ${timeOf(want?.from ?? 0)} is missing.`;
    const isAsWanted =
      want?.from === have.from &&
      want.to === have.to &&
      want.amount === have.amount &&
      want.nanoUsdPerHour === have.nanoUsdPerHour;
    if (!isAsWanted) return `its line ${have.id} is ${describe(have)}, but should be ${want ? describe(want) : 'none'}.`;
  }
  return null;
}

/** A reversal takes back one credit or debit as a whole, and nothing is taken back twice. */
function reversalProblems(lines: readonly LedgerLine[]): string[] {
  const reversals = lines.filter(({ kind }) => kind === 'reversal');
  if (reversals.length === 0) return [];
  const known = new Map(lines.filter(({ kind }) => kind === 'credit' || kind === 'debit').map((line) => [line.id, line]));
  const problems: string[] = [];
  for (const { id, amount, reversesId } of reversals) {
    const reversed = known.get(reversesId ?? '');
    if (reversed?.amount !== -amount) problems.push(`the reversal ${id} of ${amount} does not take back ${reversesId}.`);
    known.delete(reversesId ?? '');
  }
  return problems;
}

/** What was written off is what was used without money behind it. What has accrued may be written off before it is debited. */
function lossProblem({ intervals, lines, tokens }: AccountRecord, prices: readonly Price[]): string | null {
  const credits: Credit[] = lines
    .filter(({ kind }) => kind === 'credit' || kind === 'reversal')
    .map(({ at, amount }) => ({ at, nanoUsd: amount }));
  const booked = lines.filter(({ kind }) => kind === 'writeoff').reduce((sum, { amount }) => sum + amount, 0n);
  const lossUntil = (end: (interval: MeteredInterval) => number, debitedOnly: boolean): bigint => {
    const costUntil = (at: number): bigint =>
      intervals.reduce(
        (sum, interval) => {
          const { startedAt } = interval;
          return sum + chargeOf(prices, startedAt, { from: startedAt, to: Math.min(at, end(interval)) });
        },
        tokenCostUntil(tokens, at, { debitedOnly }),
      );
    return shortage(credits, costUntil, Number.POSITIVE_INFINITY);
  };
  const least = lossUntil(({ billedUntil }) => billedUntil, true);
  if (booked < least) return `${booked} is written off, but ${least} was used without money behind it.`;
  const most = lossUntil(({ billedUntil, provenUntil }) => Math.max(billedUntil, provenUntil), false);
  return booked > most ? `${booked} is written off, but no more than ${most} was used without money behind it.` : null;
}

function describe({ from, to, amount, nanoUsdPerHour }: Pick<LedgerLine, 'from' | 'to' | 'amount' | 'nanoUsdPerHour'>): string {
  return `${amount} at ${nanoUsdPerHour} per hour from ${timeOf(from ?? 0)} to ${timeOf(to ?? 0)}`;
}

const timeOf = (ms: number): string => (Number.isFinite(ms) ? new Date(ms).toISOString() : String(ms));
