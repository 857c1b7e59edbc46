export const BUDGET_PERIODS = ['day', 'month', 'total'] as const;
/** For how long what is spent adds up; days and months are those of UTC. */
export type BudgetPeriod = (typeof BUDGET_PERIODS)[number];

/** In the scope of a budget: each id of this kind separately. */
export const EACH = '*';

/** What a budget may be limited to. */
export const BUDGET_SCOPES = ['instanceId', 'agentId', 'keyId', 'senderId', 'sessionId'] as const;
export type BudgetScope = Readonly<Record<(typeof BUDGET_SCOPES)[number], string | null>>;

/** As `reason` of an error, and as `data.code` of the event of a turn. */
export const BUDGET_REACHED = 'budget_reached';

/** When what is spent begins at zero again; null: never. */
export function resetsAt(period: BudgetPeriod, now: Date): Date | null {
  const [year, month, day] = [now.getUTCFullYear(), now.getUTCMonth(), now.getUTCDate()];
  if (period === 'day') return new Date(Date.UTC(year, month, day + 1));
  return period === 'month' ? new Date(Date.UTC(year, month + 1, 1)) : null;
}

/** A budget, as it is named to a customer. */
export interface NamedBudget {
  budgetId: string;
  name: string;
  period: BudgetPeriod;
}

/** The error message for a call that this budget has no room for. It says what to change. */
export function reachedMessage({ budgetId, name, period }: NamedBudget, now: Date): string {
  const reset = resetsAt(period, now);
  const wait = reset ? `, or wait until it resets at ${reset.toISOString()}` : '';
  return `The budget "${name}" (${budgetId}) is used up. Raise its limit${wait}.`;
}

interface SpendSeen {
  /** In nano-dollars, as the limit is. */
  spent: bigint;
  limit: bigint;
  /** In per cent of the limit. */
  warnAt: number;
  isWarned: boolean;
  /** What an hour costs with what runs now. */
  burnPerHour: bigint;
  /** Null: it never ends. */
  periodEnd: Date | null;
  now: Date;
}

const HOUR_MS = 3_600_000;

/**
 * When what is spent by running time may be enough for a warning or the limit, or its period ends: at least once an hour, because
 * prices change. Null when nothing runs that counts.
 */
export function nextLook({ spent, limit, warnAt, isWarned, burnPerHour, periodEnd, now }: SpendSeen): Date | null {
  if (burnPerHour === 0n) return null;
  const next = isWarned ? limit : (limit * BigInt(warnAt) + 99n) / 100n;
  const left = next > spent ? next - spent : limit;
  const ms = Number((left * BigInt(HOUR_MS) + burnPerHour - 1n) / burnPerHour);
  return new Date(Math.min(now.getTime() + Math.min(ms, HOUR_MS), periodEnd?.getTime() ?? Number.POSITIVE_INFINITY));
}
